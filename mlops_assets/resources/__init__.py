"""Where results go: artefacts, databases, MLflow, a Dask cluster, and a Dagster that is served elsewhere.

In: a place, from the settings. Out: an object with the few calls that the project needs, errors that name the mend.
"""
