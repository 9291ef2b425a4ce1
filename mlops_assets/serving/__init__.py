"""Predictions over HTTP, and the form: one application beside the dashboards; it never starts a Dagster run.

In: requests, and the champion of the registry. Out: answers with intervals and flags, metrics, the prediction log.
"""
