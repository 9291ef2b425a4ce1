"""Dashboards by YAML: sources that read the stores, charts that draw them, pages, an editor.

In: the records of Dagster, MLflow, the prediction log and the server. Out: pages for people, tables as CSV.
"""
