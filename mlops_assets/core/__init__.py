"""The pure part: rows in, arrays and frozen dataclasses out; no Dagster, MLflow, environment or network.

Rooms go one way: types -> columns -> features -> prepare -> learners -> model -> training_set -> search -> judge, with
monitor, explain and report beside the last ones.
"""
