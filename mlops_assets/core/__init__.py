"""The pure part: no dagster, mlflow, environment or network."""
