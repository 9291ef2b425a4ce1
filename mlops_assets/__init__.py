"""Train, tune, promote and serve tabular regression models as Dagster assets."""

import os

# Threads of OpenMP that wait for work must soon sleep: spinning ones slow every other process on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
