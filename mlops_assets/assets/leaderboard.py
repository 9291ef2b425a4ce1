"""The contest for champion: every candidate, the reigning champion and the baselines on the same newest rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.features.categories import Vocabulary
from mlops_assets.core.judge.clusters import clusterings, slices
from mlops_assets.core.judge.expectations import examine
from mlops_assets.core.judge.promotion import Slice, Verdict, judge
from mlops_assets.core.metrics import Clusters, Interval
from mlops_assets.core.prepare.splitting import Periods, SplitName
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.training_set import Rows
from mlops_assets.core.types import FloatArray
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import ModelError
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.assets.records import Record
    from mlops_assets.core.model.model import Model
    from mlops_assets.resources.mlflow.version import Version


@dataclass(frozen=True)
class Entry:
    """A model on the leaderboard, and its losses (n,) on the judged rows. Baselines have no version."""

    name: str
    losses: FloatArray
    loss: float  # the metric of them
    interval: Interval
    version: int | None


@dataclass(frozen=True)
class Candidate(Entry):
    """A registered model that could become champion, and what it was found and fitted with."""

    version: int
    validation_loss: float
    trials: int
    fit_seconds: float


@dataclass(frozen=True)
class Contest:
    """Who took part, and the gate's verdict on the challenger: the candidate that is best on validation.

    The test rows only judge: choosing the challenger by them would flatter it.
    """

    judged_on: SplitName
    candidates: tuple[Candidate, ...]  # best on validation first
    reigning: Version | None
    champion: Entry | None
    champion_note: str
    baselines: tuple[Entry, ...]
    verdict: Verdict

    @property
    def challenger(self) -> Candidate:
        return self.candidates[0]


def hold_contest(
    project: Project,
    parts: Mapping[SplitName, Rows],
    periods: Periods,
    vocabularies: Mapping[str, Vocabulary],
    fitted: Mapping[str, Record],
    look: int = 1,
) -> Contest:
    """Score all on the test split, or on validation where the window has no test periods, and judge.

    `look`: how often these rows have been asked, this time included.
    """
    judged_on: SplitName = "test" if len(parts["test"]) else "validation"
    rows, columns = parts[judged_on], {**parts[judged_on].columns, **parts[judged_on].for_gate}
    together = clusterings(project.spec, columns, rows.times)
    entries = [_candidate(project, name, record, rows, together) for name, record in fitted.items()]
    candidates = tuple(sorted(entries, key=lambda entry: entry.validation_loss))
    baselines = tuple(
        _entry(project, name, output, rows, together)
        for name, output in baseline_outputs(project, parts["train"], rows, vocabularies).items()
    )
    reigning = project.registry.whole_champion()
    champion, note = _champion(project, reigning, rows, set(getattr(periods, judged_on)), together)
    settings, spec = project.settings, project.spec
    verdict = judge(
        candidates[0].losses,
        champion.losses if champion else None,
        {entry.name: entry.losses for entry in baselines},
        clusterings=together,
        confidence=settings.confidence,
        minimum_gain=settings.minimum_gain,
        slices=slices(spec, columns),
        unmet=unmet(spec, project.registry.load(candidates[0].version), rows) if spec.expect else (),
        look=look,
        metric=project.target.metric,
    )
    verdict = replace(verdict, reason=f"{verdict.reason}{periods.gap_note}")
    return Contest(judged_on, candidates, reigning, champion, note, baselines, verdict)


def unmet(spec: DatasetSpec, model: Model, rows: Rows) -> tuple[str, ...]:
    """Each blocking expectation that a model breaks on some rows, in words."""
    return tuple(found.sentence for found in examine(model, rows.columns, spec.expect) if found.blocks)


def baseline_outputs(
    project: Project, train: Rows, rows: Rows, vocabularies: Mapping[str, Vocabulary]
) -> dict[str, np.ndarray]:
    """What one would say without a model: of all rows the same, and by the main categories."""
    features = project.spec.features
    group = features.pairs[0] if features.pairs else features.categorical[:1]

    def codes(part: Rows) -> np.ndarray:
        return np.column_stack([vocabularies[name].encode(part.columns[name]) for name in group])

    outputs = project.target.baselines(train.y, (codes(train), codes(rows)) if group else None, len(rows))
    first, *others = outputs  # the others are by the categories
    return {first: outputs[first]} | {f"{name} {' and '.join(group)}": outputs[name] for name in others}


def _candidate(project: Project, name: str, record: Record, rows: Rows, together: Sequence[Clusters]) -> Candidate:
    version = record.value("version")
    entry = _entry(project, name, project.registry.load(version).output(rows.columns), rows, together, version)
    return Candidate(
        name,
        entry.losses,
        entry.loss,
        entry.interval,
        version,
        validation_loss=record.value(project.target.metric.key("validation")),
        trials=record.value("trials"),
        fit_seconds=record.value("fit_seconds"),
    )


def _champion(
    project: Project, reigning: Version | None, rows: Rows, judged: set[str], together: Sequence[Clusters]
) -> tuple[Entry | None, str]:
    """The reigning champion's entry. Where its refit has seen a judged period, the model that won for it stands in.

    A candidate that was given the alias by hand is no refit: it learnt from its train split alone.
    """
    if reigning is None:
        return None, "there is no champion yet"
    number, note = reigning.number, f"version {reigning.number}"
    if "candidate" in reigning.tags and judged & set(reigning.tags["periods"].split(",")):
        number = int(reigning.tags["candidate"])
        note += f", by version {number}, which was fitted without the periods it is judged on"
    try:
        project.registry.load(reigning.number)  # what nobody can ask is not worth defending
        model = project.registry.load(number)
    except ModelError as error:
        return None, f"version {reigning.number} cannot answer, so it is not defended: {error}"
    if gone := [alias for alias in model.spec.inputs() if alias not in rows.columns]:
        return None, f"version {number} needs {', '.join(gone)}, which clean data no longer has: it is not defended"
    return _entry(project, reigning.model_type, model.output(rows.columns), rows, together, number), note


def _entry(
    project: Project,
    name: str,
    output: FloatArray,
    rows: Rows,
    together: Sequence[Clusters],
    version: int | None = None,
) -> Entry:
    metric = project.target.metric
    losses = metric.losses(rows.y, output)
    interval = metric.interval(losses, together, confidence=project.settings.confidence)
    return Entry(name, losses, metric.of_losses(losses), interval, version)


def leaderboard(contest: Contest) -> list[dict[str, Any]]:
    """The contest as rows: candidates by their loss on validation, the reigning champion, the baselines."""
    champion = [("champion", contest.champion)] if contest.champion else []
    entries: list[tuple[str, Entry]] = [("candidate", entry) for entry in contest.candidates]
    entries += [*champion, *(("baseline", entry) for entry in contest.baselines)]
    return [
        {
            "role": role,
            "model": entry.name,
            "version": entry.version,
            "trials": getattr(entry, "trials", None),
            "validation_loss": getattr(entry, "validation_loss", None),
            "loss": entry.loss,
            "low": entry.interval.low,
            "high": entry.interval.high,
            "fit_seconds": getattr(entry, "fit_seconds", None),
        }
        for role, entry in entries
    ]


def as_markdown(rows: list[dict[str, Any]], judged_on: str, target: TargetKind, confidence: float) -> str:
    """Leaderboard rows as a Markdown table."""
    metric = target.metric
    held = f"{judged_on} {metric.heading(target.unit or 'target')}"
    lines = [
        f"| model | version | trials | validation {metric.label} | {held} | {confidence:.0%} interval | fit seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = row["model"] if row["role"] == "candidate" else f"{row['role']}: {row['model']}"
        cells = [name, row["version"], row["trials"], _number(row["validation_loss"]), _number(row["loss"])]
        cells += [f"{row['low']:.3f} to {row['high']:.3f}", _number(row["fit_seconds"])]
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def slices_as_rows(parts: Sequence[Slice]) -> list[dict[str, Any]]:
    """Challenger and champion by slice; the interval is of the champion's loss minus the challenger's."""
    return [
        {
            "slice": part.name,
            "rows": part.rows,
            "challenger_loss": part.challenger_loss,
            "champion_loss": part.champion_loss,
            "low": part.comparison.interval.low if part.comparison else None,
            "high": part.comparison.interval.high if part.comparison else None,
        }
        for part in parts
    ]


def slices_as_markdown(rows: Sequence[Mapping[str, Any]], target: TargetKind) -> str:
    """The same as a Markdown table."""
    metric = target.metric
    challenger, champion = f"challenger {metric.heading(target.unit)}", f"champion {metric.label}"
    lines = [
        f"| slice | rows | {challenger} | {champion} | interval of the difference |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        scores = [_number(row[name]) or "" for name in ("challenger_loss", "champion_loss")]
        lines.append("| " + " | ".join([row["slice"].replace("|", "/"), f"{row['rows']:,}", *scores, interval]) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
