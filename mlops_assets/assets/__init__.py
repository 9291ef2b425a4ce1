"""The assets: thin shells that read, call the core, store and record. One file an asset, named as in the graph.

In: a project, a Dagster instance, the records of what was made. Out: materialisations, each with the recipe that it was
made from, so that nothing is computed twice. `registry.py` lists them; `plan.py` says what is stale, and why.
"""
