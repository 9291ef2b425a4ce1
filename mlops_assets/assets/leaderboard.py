"""The contest for champion: every candidate, the reigning champion and the baselines on the same newest rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.features.categories import Vocabulary
from mlops_assets.core.judge.clusters import clusterings, slices
from mlops_assets.core.judge.promotion import Slice, Verdict, judge
from mlops_assets.core.metrics import Clusters, Interval, group_mean_baseline, mean_baseline, rmse_interval
from mlops_assets.core.prepare.splitting import Periods, SplitName
from mlops_assets.core.training_set import Rows
from mlops_assets.core.types import FloatArray
from mlops_assets.errors import ModelError
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.assets.records import Record
    from mlops_assets.resources.mlflow.registry import Version


@dataclass(frozen=True)
class Entry:
    """A model on the leaderboard, and its squared errors (n,) on the judged rows. Baselines have no version."""

    name: str
    squared_errors: FloatArray
    interval: Interval
    version: int | None

    @property
    def rmse(self) -> float:
        return float(np.sqrt(self.squared_errors.mean()))


@dataclass(frozen=True)
class Candidate(Entry):
    """A registered model that could become champion, and what it was found and fitted with."""

    version: int
    validation_rmse: float
    trials: int
    fit_seconds: float


@dataclass(frozen=True)
class Contest:
    """Who took part, and the gate's verdict on the challenger: the candidate with the best validation RMSE.

    The test rows only judge: choosing the challenger by them would flatter it.
    """

    judged_on: SplitName
    candidates: tuple[Candidate, ...]  # best validation RMSE first
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
    candidates = tuple(sorted(entries, key=lambda entry: entry.validation_rmse))
    baselines = tuple(
        _entry(project, name, (prediction - rows.y) ** 2, together)
        for name, prediction in baseline_predictions(project, parts["train"], rows, vocabularies).items()
    )
    reigning = project.registry.whole_champion()
    champion, note = _champion(project, reigning, rows, set(getattr(periods, judged_on)), together)
    settings = project.settings
    verdict = judge(
        candidates[0].squared_errors,
        champion.squared_errors if champion else None,
        {entry.name: entry.squared_errors for entry in baselines},
        clusterings=together,
        confidence=settings.confidence,
        minimum_gain=settings.minimum_gain,
        slices=slices(project.spec, columns),
        look=look,
    )
    verdict = replace(verdict, reason=f"{verdict.reason}{periods.gap_note}")
    return Contest(judged_on, candidates, reigning, champion, note, baselines, verdict)


def baseline_predictions(
    project: Project, train: Rows, rows: Rows, vocabularies: Mapping[str, Vocabulary]
) -> dict[str, np.ndarray]:
    """What one would say without a model: the mean, and the mean of the main categories."""
    predictions = {"mean": mean_baseline(train.y, len(rows))}
    features = project.spec.features
    group = features.pairs[0] if features.pairs else features.categorical[:1]
    if group:

        def codes(part: Rows) -> np.ndarray:
            return np.column_stack([vocabularies[name].encode(part.columns[name]) for name in group])

        predictions[f"mean of {' and '.join(group)}"] = group_mean_baseline(codes(train), train.y, codes(rows))
    return predictions


def _candidate(project: Project, name: str, record: Record, rows: Rows, together: Sequence[Clusters]) -> Candidate:
    version = record.value("version")
    model = project.registry.load(version)
    squared_errors = (model.predict_columns(rows.columns) - rows.y) ** 2
    return Candidate(
        name,
        squared_errors,
        _interval(project, squared_errors, together),
        version,
        validation_rmse=record.value("validation_rmse"),
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
    prediction = model.predict_columns(rows.columns)
    return _entry(project, reigning.model_type, (prediction - rows.y) ** 2, together, number), note


def _entry(
    project: Project,
    name: str,
    squared_errors: FloatArray,
    together: Sequence[Clusters],
    version: int | None = None,
) -> Entry:
    return Entry(name, squared_errors, _interval(project, squared_errors, together), version)


def _interval(project: Project, squared_errors: FloatArray, together: Sequence[Clusters]) -> Interval:
    return rmse_interval(squared_errors, together, confidence=project.settings.confidence)


def leaderboard(contest: Contest) -> list[dict[str, Any]]:
    """The contest as rows: candidates by validation RMSE, the reigning champion, the baselines."""
    champion = [("champion", contest.champion)] if contest.champion else []
    entries: list[tuple[str, Entry]] = [("candidate", entry) for entry in contest.candidates]
    entries += [*champion, *(("baseline", entry) for entry in contest.baselines)]
    return [
        {
            "role": role,
            "model": entry.name,
            "version": entry.version,
            "trials": getattr(entry, "trials", None),
            "validation_rmse": getattr(entry, "validation_rmse", None),
            "rmse": entry.rmse,
            "low": entry.interval.low,
            "high": entry.interval.high,
            "fit_seconds": getattr(entry, "fit_seconds", None),
        }
        for role, entry in entries
    ]


def as_markdown(rows: list[dict[str, Any]], judged_on: str, unit: str, confidence: float) -> str:
    """Leaderboard rows as a Markdown table."""
    held = f"{judged_on} RMSE ({unit or 'target'})"
    lines = [
        f"| model | version | trials | validation RMSE | {held} | {confidence:.0%} interval | fit seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = row["model"] if row["role"] == "candidate" else f"{row['role']}: {row['model']}"
        cells = [name, row["version"], row["trials"], _number(row["validation_rmse"]), _number(row["rmse"])]
        cells += [f"{row['low']:.3f} to {row['high']:.3f}", _number(row["fit_seconds"])]
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def slices_as_rows(parts: Sequence[Slice]) -> list[dict[str, Any]]:
    """Challenger and champion by slice; the interval is of the champion's RMSE minus the challenger's."""
    return [
        {
            "slice": part.name,
            "rows": part.rows,
            "challenger_rmse": part.challenger_rmse,
            "champion_rmse": part.champion_rmse,
            "low": part.comparison.interval.low if part.comparison else None,
            "high": part.comparison.interval.high if part.comparison else None,
        }
        for part in parts
    ]


def slices_as_markdown(rows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """The same as a Markdown table."""
    of_unit = f" ({unit})" if unit else ""
    lines = [
        f"| slice | rows | challenger RMSE{of_unit} | champion RMSE | interval of the difference |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        scores = [_number(row[name]) or "" for name in ("challenger_rmse", "champion_rmse")]
        lines.append("| " + " | ".join([row["slice"].replace("|", "/"), f"{row['rows']:,}", *scores, interval]) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
