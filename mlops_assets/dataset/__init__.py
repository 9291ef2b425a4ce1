"""What a dataset is: its YAML, checked part by part and as a whole, and the arithmetic of its periods.

In: the text of a YAML file and the environment that it may name. Out: a frozen `DatasetSpec`, or one SpecError.
"""

from mlops_assets.dataset.dialect import Column, Dialect
from mlops_assets.dataset.parts import (
    Calendar,
    DeltaSource,
    Derived,
    Features,
    FilesSource,
    GroupMeans,
    Numeric,
    PackageSource,
    RowRule,
    SqlSource,
    Time,
    Window,
)
from mlops_assets.dataset.spec import SNAPSHOT, DatasetSpec, load_dataset, shipped_datasets
from mlops_assets.dataset.target import Target

__all__ = [
    "SNAPSHOT",
    "Calendar",
    "Column",
    "DatasetSpec",
    "DeltaSource",
    "Derived",
    "Dialect",
    "Features",
    "FilesSource",
    "GroupMeans",
    "Numeric",
    "PackageSource",
    "RowRule",
    "SqlSource",
    "Target",
    "Time",
    "Window",
    "load_dataset",
    "shipped_datasets",
]
