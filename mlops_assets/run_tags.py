"""The tags of Dagster runs that this project writes and reads, and which partitions a run is of."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

STARTED_BY = "mlops/started_by"
USER = "user"  # who launched a run, as Dagster's pages show it where neither a schedule nor a sensor did
RETRAIN = "retrain"  # the job of a retraining
RETRAINING = "mlops/retraining"  # on every run of a retraining: the run id of the job `retrain` that it belongs to
TASK = "mlops/task"
PROCESS = "mlops/process"  # on runs that no launcher has started: host and id of the process that makes them
PARTITION = "dagster/partition"
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
TO = "..."  # between the first and the last of partitions in a row, as Dagster's own commands write it


def launched_by(who: str) -> dict[str, str]:
    """The tags of a run that neither a schedule nor a sensor launches."""
    return {STARTED_BY: who, USER: who}


def this_process() -> dict[str, str]:
    """The tag of a run that is made in this process, by which it is watched."""
    return {PROCESS: f"{platform.node()}:{os.getpid()}"}


def launched_here() -> dict[str, str]:
    """The tags of a run that a command makes in its own process."""
    return launched_by("cli") | this_process()


def partitions_of(tags: Mapping[str, str]) -> str | None:
    """The partition of a run, or the first and the last of those in a row; None where it has none."""
    if FIRST not in tags:
        return tags.get(PARTITION)
    first, last = tags[FIRST], tags.get(LAST, tags[FIRST])
    return first if first == last else f"{first}{TO}{last}"


def tags_of(first: str | None, last: str | None) -> dict[str, str]:
    """The tags of a run of one partition, or of those in a row from the first to the last."""
    if first is None or last is None:
        return {}
    return {PARTITION: first} if first == last else {FIRST: first, LAST: last}
