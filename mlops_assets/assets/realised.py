"""What was answered for a period and what came true: in batch and online, version by version."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.assets import predictions
from mlops_assets.assets.champion_model import PROMISED, PROMISED_INTERVAL
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.columns import Columns, concatenate, from_rows, from_table
from mlops_assets.core.judge.clusters import clusterings
from mlops_assets.core.metrics import Clusters, Interval
from mlops_assets.core.model.answers import NUMBERS, Answers
from mlops_assets.core.monitor.coverage import judge_coverage
from mlops_assets.core.monitor.performance import (
    Judgement,
    Outcomes,
    Promise,
    Realised,
    identity,
    join,
    judge,
    outcomes_of,
    realise,
)
from mlops_assets.core.prepare.cleaning import ROW_ID, TARGET, kept_columns
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import InputError, ModelError
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.resources.databases.prediction_log import LoggedRow
    from mlops_assets.resources.mlflow.version import Version


@dataclass(frozen=True, eq=False)
class Truth:
    """The clean rows of a period: their inputs, places in the raw table, targets (n,), and how they move together."""

    columns: Columns
    row_id: np.ndarray
    y: np.ndarray
    clusterings: tuple[Clusters, ...]


@dataclass(frozen=True, eq=False)
class Line:
    """What one version answered in one way, `batch` or `online`, and what came of it.

    `learnt`: the version learnt from these rows. `coverage`: the share of truths that its intervals are made to hold.
    `judgement` of its errors, and of its coverage, is None where no promise can be asked for.
    """

    way: str
    version: Version
    outcomes: Outcomes
    learnt: bool
    promise: Promise | None
    judgement: Judgement | None
    coverage: float | None = None
    coverage_judgement: Judgement | None = None

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Of its errors and its intervals, as far as they were judged."""
        return tuple(judged for judged in (self.judgement, self.coverage_judgement) if judged)

    @property
    def name(self) -> str:
        return f"{self.way}, version {self.version.number}"

    @property
    def verdict(self) -> str:
        if self.judgements:
            return ", and ".join(judged.reason for judged in self.judgements)
        return "not judged, for it learnt from these rows" if self.learnt else "not judged, for it promised nothing"

    @cached_property
    def realised(self) -> Realised:
        return realise(self.outcomes)


@dataclass(frozen=True, eq=False)
class RealisedPeriod:
    """All lines of a period, batch first; notes on what could not be used."""

    lines: tuple[Line, ...]
    truth: Truth
    asked_online: int
    notes: tuple[str, ...]


def realised_period(records: Records, project: Project, cleaned: Record, number: int) -> RealisedPeriod:
    """The outcomes of a period's clean rows: those of the batch by version `number`, and of what was asked online."""
    table = project.storage.read_table(cleaned.stored_path)
    columns = from_table(table, project.spec.inputs())
    kept = from_table(table, kept_columns(project.spec))
    times = kept[project.spec.time.column] if project.spec.time else None
    move_together = clusterings(project.spec, kept, times)
    truth = Truth(columns, table.column(ROW_ID).to_numpy(), table.column(TARGET).to_numpy(), move_together)
    lines, notes, versions = [], [], project.registry.versions()
    if number not in versions:
        notes.append(f"version {number}, which answered then, is no longer registered")
    else:
        try:
            outcomes = _batch(records, project, cleaned, truth, versions[number])
            lines.append(_line(project, "batch", versions[number], outcomes, cleaned.partition_key))
        except (ModelError, InputError) as error:
            notes.append(f"version {number} cannot answer: {error}")
    asked, unfit = _asked_online(project, cleaned.partition_key)
    if unfit:
        notes.append(f"{unfit} row(s) that were asked online do not have the inputs that the dataset has now")
    for asked_version, (rows, answers) in sorted(asked.items()):
        if asked_version not in versions:
            notes.append(
                f"version {asked_version}, which answered {len(answers)} row(s) online, is no longer registered"
            )
            continue
        again = answers if project.target.is_stored else project.registry.load(asked_version).answer(rows)
        names = identity(project.spec)
        outcomes = join(truth.columns, truth.y, rows, again, names, truth.clusterings, project.target)
        if len(outcomes):
            lines.append(_line(project, "online", versions[asked_version], outcomes, cleaned.partition_key))
    count = unfit + sum(len(answers) for _, answers in asked.values())
    return RealisedPeriod(tuple(lines), truth, count, tuple(notes))


def _line(project: Project, way: str, version: Version, outcomes: Outcomes, period: str) -> Line:
    settings, promise = project.settings, _promise(project, version)
    learnt = period in version.tags.get("periods", "").split(",")
    judgement, of_coverage, coverage = None, None, _coverage(project, version)
    if promise and not learnt:
        judgement = judge(outcomes, promise, margin=settings.performance_margin, confidence=settings.confidence)
        if coverage is not None and outcomes.has_intervals:
            of_coverage = judge_coverage(outcomes, coverage, confidence=settings.confidence)
    return Line(way, version, outcomes, learnt, promise, judgement, coverage, of_coverage)


def _coverage(project: Project, version: Version) -> float | None:
    """The share of truths that a version's intervals are made to hold; None where it has none, or cannot be read."""
    try:
        return project.registry.load(version.number).coverage
    except ModelError:
        return None


def _promise(project: Project, version: Version) -> Promise | None:
    """None where it promised nothing, or by another metric."""
    promised = version.tags.get(project.target.metric.key(PROMISED))
    if promised is None:
        return None
    return Promise(float(promised), Interval(*json.loads(version.tags[PROMISED_INTERVAL])))


def _batch(records: Records, project: Project, cleaned: Record, truth: Truth, version: Version) -> Outcomes:
    """From the period's predictions where they are of this version and these rows; else it is asked again."""
    record = records.latest("predictions", cleaned.partition)
    if project.target.is_stored and record and _is_of(project, record, version, cleaned):
        table = project.storage.read_table(record.stored_path, [ROW_ID, *NUMBERS])
        rows = np.searchsorted(table.column(ROW_ID).to_numpy(), truth.row_id)
        prediction, low, high = (table.column(name).to_numpy()[rows] for name in NUMBERS)
        return outcomes_of(project.target, truth.y, Answers(prediction, low, high, {}, {}), truth.clusterings)
    model = project.registry.load(version.number)
    if gone := [alias for alias in model.spec.inputs() if alias not in truth.columns]:
        raise InputError(f"it needs {', '.join(gone)}, which clean data no longer has")
    answers = model.answer(truth.columns)
    return outcomes_of(project.target, truth.y, answers, truth.clusterings)


def _is_of(project: Project, made: Record, version: Version, cleaned: Record) -> bool:
    parts = made.recipe.parts
    return (
        made.value("model_version") == version.number
        and parts["code"] == predictions.CODE_VERSION
        and parts["upstream"]["raw_data"] == cleaned.recipe.parts["upstream"]["raw_data"]
        and project.storage.exists(made.stored_path)
    )


def event_limits(spec: DatasetSpec, period: str) -> tuple[datetime | None, datetime | None]:
    """The start of a period and of the next; none for a snapshot."""
    return (spec.time.cadence.start(period), spec.time.cadence.end(period)) if spec.time else (None, None)


def _asked_online(project: Project, period: str) -> tuple[dict[int, tuple[Columns, Answers]], int]:
    """Rows that were asked online about events of a period, with their answers, by version; how many are unusable."""
    columns: dict[int, list[Columns]] = defaultdict(list)
    numbers: dict[int, list[np.ndarray]] = defaultdict(list)
    unfit = 0
    for chunk in project.prediction_log.read_events(*event_limits(project.spec, period)):
        for version in {row.model_version for row in chunk}:
            rows = [row for row in chunk if row.model_version == version]
            usable = _usable(project, rows)
            unfit += len(rows) - len(usable)
            if usable:
                columns[version].append(from_rows([row.inputs for row in usable], project.spec))
                numbers[version].append(
                    np.array([[getattr(row, name) for row in usable] for name in NUMBERS], np.float64)
                )
    asked = {
        version: (concatenate(columns[version]), _answers(np.concatenate(numbers[version], axis=1)))
        for version in columns
    }
    return asked, unfit


def _answers(numbers: np.ndarray) -> Answers:
    """Of predictions and the ends of their intervals, (3, n)."""
    prediction, low, high = numbers
    return Answers(prediction, low, high, {}, {})


def _usable(project: Project, rows: Sequence[LoggedRow]) -> list[LoggedRow]:
    """Rows with the inputs of the dataset as it is now; it may have changed since they were asked."""
    if _fit(project, rows):
        return list(rows)
    return [row for row in rows if _fit(project, [row])]


def _fit(project: Project, rows: Sequence[LoggedRow]) -> bool:
    try:
        from_rows([row.inputs for row in rows], project.spec)
    except InputError:
        return False
    return True
