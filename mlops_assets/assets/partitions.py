"""Partitions: months of the dataset, and model types."""

import dagster as dg

from mlops_assets.dataset import SNAPSHOT, DatasetSpec

MONTH_FORMAT = "%Y-%m"


def month_partitions(spec: DatasetSpec) -> dg.PartitionsDefinition:
    """Complete months from the spec's first to its last, or up to last month; one `snapshot` where there is no time."""
    if spec.time is None:
        return dg.StaticPartitionsDefinition([SNAPSHOT])
    end = next_month(spec.time.last_month) if spec.time.last_month else None
    return dg.MonthlyPartitionsDefinition(start_date=spec.time.first_month, end_date=end, fmt=MONTH_FORMAT)


def next_month(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02}"


def model_type_partitions(names: tuple[str, ...]) -> dg.StaticPartitionsDefinition:
    return dg.StaticPartitionsDefinition(list(names))


def model_type_mapping(names: tuple[str, ...]) -> dg.StaticPartitionMapping:
    """A model of a type depends on the hyperparameters of that type."""
    return dg.StaticPartitionMapping({name: name for name in names})
