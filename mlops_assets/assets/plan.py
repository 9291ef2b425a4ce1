"""What would be computed, and why: each asset's recipe of now beside that of its newest materialisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import dagster as dg

from mlops_assets.assets.entry import AssetEntry, State, period_partitions
from mlops_assets.assets.memo import why_stale
from mlops_assets.assets.records import Records
from mlops_assets.assets.registry import AssetGraph, asset_graph
from mlops_assets.dataset import SNAPSHOT
from mlops_assets.errors import DataError, SpecError, StorageError
from mlops_assets.project import Project
from mlops_assets.run_tags import TO, partitions_of, tags_of

LONGEST_GAP = 100  # periods that a run skips between two that the source has


@dataclass(frozen=True)
class Task:
    """One asset, or one partition of it, and the reasons to make it again."""

    asset: str
    partition: str | None
    reasons: tuple[str, ...]
    waits_for: str | None = None  # what has to be made first, where that is not there

    @property
    def stale(self) -> bool:
        return bool(self.reasons)

    @property
    def name(self) -> str:
        return f"{self.asset}[{self.partition}]" if self.partition else self.asset

    def is_in(self, part: str) -> bool:
        """Whether a run makes it whose part has this name."""
        asset, _, partitions = part.removesuffix("]").partition("[")
        first, _, last = partitions.partition(TO)
        return asset == self.asset and first <= (self.partition or "") <= (last or first)


@dataclass(frozen=True)
class Part:
    """What one run makes: an asset, one partition of it, or periods in a row."""

    tasks: tuple[Task, ...]

    @property
    def asset(self) -> str:
        return self.tasks[0].asset

    @property
    def name(self) -> str:
        partitions = partitions_of(self.tags)
        return f"{self.asset}[{partitions}]" if partitions else self.asset

    @property
    def tags(self) -> dict[str, str]:
        """By which Dagster knows the partitions of the run."""
        return tags_of(self.tasks[0].partition, self.tasks[-1].partition)


class Plan:
    """The state of all assets against the present source, settings and code; it reads records, never data."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        project: Project,
        versions: Mapping[str, str] | None = None,
        graph: AssetGraph | None = None,
    ) -> None:
        """`versions`: what the source has, where it was asked already; `graph`: the project's, where it was made."""
        self._instance = instance
        self._project = project
        self._versions = versions
        self._read: tuple[int | None, Records] | None = None
        self.graph = graph or asset_graph(project)

    @property
    def assets(self) -> tuple[str, ...]:
        """The project's assets, upstream first."""
        return tuple(self.graph.entries)

    def require(self, asset: str) -> None:
        """Raise SpecError where the project has no such asset."""
        if asset not in self.assets:
            raise SpecError(f"'{asset}' is not an asset (assets: {', '.join(self.assets)})")

    def tasks(self, asset: str) -> list[Task]:
        """An asset's partitions with the reasons that its own recipe gives; call again after upstream was made."""
        self.require(asset)
        entry = self.graph.entries[asset]
        state = State(self._records(), self._project, self.source_versions)
        return [self._task(entry, state, partition) for partition in self._partitions(entry)]

    def _records(self) -> Records:
        """What was made; read anew where anything was recorded since it was read: many periods take their time."""
        newest = self._instance.event_log_storage.get_maximum_record_id()
        if self._read is None or self._read[0] != newest:
            self._read = newest, Records(self._instance)
        return self._read[1]

    def explain(self) -> dict[str, list[Task]]:
        """The tasks of every asset, closed over what is upstream: an asset below a stale one is stale too."""
        known: dict[str, list[Task]] = {}
        for asset, entry in self.graph.entries.items():
            causes = [parent for parent in self.graph.upstream[asset] if parent not in entry.unmoved_by]
            above = [task for parent in causes for task in known[parent] if task.stale]
            known[asset] = []
            for task in self.tasks(asset):
                because = tuple(f"{parent.name} will be made again" for parent in above if self.feeds(parent, task))
                known[asset].append(replace(task, reasons=task.reasons + because))
        return known

    def parts(self, tasks: Iterable[Task]) -> list[Part]:
        """Tasks as runs, in their order: periods of an asset that come one after the other are made by one.

        So are those between which the source has none, as weekends of daily data: the run skips what is not there.
        """
        grouped: list[list[Task]] = []
        for task in tasks:
            before = grouped[-1][-1] if grouped else None
            if before and before.asset == task.asset and self._next_period.get(before.partition) == task.partition:
                grouped[-1].append(task)
            else:
                grouped.append([task])
        return [Part(tuple(tasks)) for tasks in grouped]

    def all_rest_on(self, asset: str) -> bool:
        """Whether all that is made after an asset is made from it, be it by way of others."""
        below = {asset}
        rest = self.assets[self.assets.index(asset) + 1 :]
        for name in rest:
            if below & set(self.graph.upstream[name]):
                below.add(name)
        return below.issuperset(rest)

    def position(self, part: Part) -> tuple[int, int]:
        """How many tasks there are before those of a part, in the order of making, and how many in all."""
        names = [(entry.name, key) for entry in self.graph.entries.values() for key in self._partitions(entry)]
        first = part.tasks[0]
        return names.index((first.asset, first.partition)), len(names)

    @cached_property
    def _next_period(self) -> Mapping[str | None, str]:
        """The period that the source has next after each; none after a gap that is longer than a run should skip."""
        places = {period: place for place, period in enumerate(period_partitions(self._project).get_partition_keys())}
        return {
            period: after
            for period, after in pairwise(sorted(self.source_versions()))
            if places[after] - places[period] <= LONGEST_GAP
        }

    def feeds(self, parent: Task, task: Task) -> bool:
        """Whether the one is made from the other: unpartitioned assets feed all and take all, others their own kind."""
        if chosen := self.graph.chosen_partitions.get((parent.asset, task.asset)):
            return parent.partition in chosen
        return None in (parent.partition, task.partition) or parent.partition == task.partition

    def periods(self) -> tuple[str, ...]:
        """The newest periods that the source has, as many as the window asks for."""
        available = sorted(self.source_versions())
        window = self._project.spec.window
        return tuple(available[-(window.train_periods + window.validation_periods + window.test_periods) :])

    def source_versions(self) -> Mapping[str, str]:
        """Versions by partition; a period that is not over, which a database may hold, is not one yet."""
        if self._versions is None:
            complete = set(period_partitions(self._project).get_partition_keys())
            published = self._project.source.partitions()
            self._versions = {period: version for period, version in published.items() if period in complete}
            if not self._versions:
                what = "a period" if self._project.spec.time else f"the {SNAPSHOT}"
                raise DataError(
                    f"the source of {self._project.spec.name} does not have {what} yet: check where it points"
                )
        return self._versions

    def _partitions(self, entry: AssetEntry) -> tuple[str | None, ...]:
        if entry.partitioned_by != "period":
            return entry.static_partitions(self._project)
        return self.periods()[-entry.newest :] if entry.newest else self.periods()

    def _task(self, entry: AssetEntry, state: State, partition: str | None) -> Task:
        record = state.records.latest(entry.name, partition)
        try:
            recipe = entry.recipe(state, partition)
        except (DataError, StorageError) as error:  # not there yet, or the prediction log cannot be asked
            return Task(entry.name, partition, ("never made",) if record is None else (), str(error))
        return Task(entry.name, partition, why_stale(self._project, record, recipe))


class Plans:
    """Opens plans of a project, a look each, which share the graph: it takes longer to make than a look."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @cached_property
    def _graph(self) -> AssetGraph:
        return asset_graph(self._project)

    def open(self, instance: dg.DagsterInstance, versions: Mapping[str, str] | None = None) -> Plan:
        """`versions`: what the source has, where it was asked already."""
        return Plan(instance, self._project, versions, self._graph)
