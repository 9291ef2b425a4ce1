"""Train, tune, promote and serve tabular regression models as Dagster assets."""

import os

# Threads of OpenMP that wait for work must sleep: spinning ones slow every other process on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
