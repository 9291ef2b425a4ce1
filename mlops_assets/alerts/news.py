"""News: what there is to tell of one kind of event, first for whoever decides, then for whoever repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from mlops_assets.alerts.alert import Bar, Bars, Change, Comparison, Kind, named, to_paste
from mlops_assets.alerts.run_summary import DRIFT, PERFORMANCE, Materialised, RunSummary
from mlops_assets.assets.entry import OVERVIEW
from mlops_assets.assets.registry import ENTRIES
from mlops_assets.settings import Settings

_BOARDS = {entry.name: entry.dashboard for entry in ENTRIES}
_RETRAIN = "mlops-assets launch retrain"
_MOST_BARS = 8


@dataclass(frozen=True)
class News:
    """One kind of event: `headline` for the subject, `sentence` for all, `cause` for whoever repairs.

    `board` is the dashboard that shows it.
    """

    kind: Kind
    headline: str
    sentence: str
    cause: str
    advice: str
    board: str = OVERVIEW
    command: str | None = None
    comparison: Comparison | None = None
    chart: Bars | None = None


@dataclass(frozen=True)
class FailedCheck:
    """A check that failed, and the run that it was part of."""

    part: RunSummary
    check: dg.AssetCheckEvaluation

    @property
    def asset(self) -> str:
        return self.check.asset_key.to_user_string()

    @property
    def partition(self) -> str | None:
        return self.check.partition or self.part.partition

    @property
    def line(self) -> str:
        about = f": {self.check.description}" if self.check.description else ""
        where = named(self.asset, self.partition)
        return f"check {self.check.check_name} of {where} failed ({self.check.severity.value}){about}"

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What its asset told of itself in that run."""
        found = (one.metadata for one in self.part.materialised if one.name == named(self.asset, self.partition))
        return next(found, {})


def failure_news(settings: Settings, headline: str, cause: str, missing: str, asset: str | None) -> News:
    """A run that failed, or parts of a retraining that did; `missing` names what was not made."""
    return News(
        kind="failure",
        headline=headline,
        sentence=f"{missing} could not be made; what was there before stays, and predictions go on.",
        cause=cause,
        advice="Repair the cause below, then make what is missing:",
        command=to_paste(settings, "run"),
        board=_BOARDS.get(asset or "", OVERVIEW),
    )


def check_news(settings: Settings, headline: str, failed: FailedCheck) -> News:
    """Checks that failed, of which this is the first."""
    return News(
        kind="failure",
        headline=headline,
        sentence=f"{named(failed.asset, failed.partition)} is not as expected; nothing was stopped by that.",
        cause=failed.line,
        advice="See whether what came is right, and why it was made:",
        command=to_paste(settings, "why", failed.asset),
        board=_BOARDS.get(failed.asset, OVERVIEW),
    )


def champion_news(verdict: Materialised, unit: str) -> News:
    """The gate's decision on a challenger."""
    values, before = verdict.metadata, verdict.before
    challenger, champion = values.get("challenger"), values.get("champion_type")
    now = f"{champion} (version {values.get('champion_version')})"
    rows = f"{values.get('judged_on', 'test')} rows"
    label, name = _metric(values)
    error = f"{label} on {rows}"
    losses = [f"{whose}_{name}" for whose in ("champion", "challenger")]
    scores = [_quantity(values[loss], unit) for loss in losses if loss in values]
    duel = f"its typical error is {' where it was '.join(reversed(scores))}" if scores else "it has no error measured"
    headings = {"before": "champion", "after": "challenger"}
    changes = [Change(error, scores[0] if len(scores) == 2 else "", scores[-1])] if scores else []
    command, advice = "mlops-assets history", "Nothing to do. Who was champion when, and why:"
    if values.get("decision") == "promoted":
        former = f"{before.get('champion_type')} (version {before.get('champion_version')})" if before else ""
        headline = f"{challenger} is the new champion"
        sentence = f"{challenger} answers from now on: {duel}."
        changes = [Change("Champion", former, now), *changes]
        headings = {}
    elif values.get("decision") == "proposed":
        headline = f"{challenger} waits for your approval as champion"
        sentence = f"{challenger} could answer from now on: {duel}. Until you say so, nothing changes."
        command, advice = f"mlops-assets approve {values.get('proposed_version')} --why ...", "To make it champion:"
        changes = [Change("Model", now, f"{challenger} (version {values.get('proposed_version')})"), *changes]
    elif champion == "none":
        headline = f"{challenger} does not become champion"
        sentence = f"No model answers: {challenger} is not good enough to be the first."
        advice = "See how far it is from what the gate asks for:"
    else:
        headline = f"{challenger} does not become champion in place of {champion}"
        sentence = f"Nothing changes: {challenger} is not provably better than {champion}, which goes on answering."
        changes = [Change("Model", f"{now} stays", str(challenger)), *changes]
    return News(
        kind="champion",
        headline=headline,
        sentence=sentence,
        cause=values["verdict"],
        advice=advice,
        command=command,
        board="model",
        comparison=Comparison((*changes, *_gain(values)), **headings) if changes else None,
        chart=_leaderboard(values, unit, error),
    )


def drift_news(failed: Sequence[FailedCheck], unit: str) -> News:
    """Data unlike those that the model had learnt from, or errors that are not as promised."""
    first = failed[0]
    periods = ", ".join(sorted({one.partition or "" for one in failed if one.asset == DRIFT}))
    late = ", ".join(sorted({one.partition or "" for one in failed if one.asset == PERFORMANCE}))
    headline = "; ".join(
        [f"drift in {periods}"] * bool(periods) + [f"errors beyond the promise in {late}"] * bool(late)
    )
    if first.asset == PERFORMANCE:
        sentence = f"Predictions of {first.partition} were not as good as promised."
        comparison, chart = _performance(first.metadata, unit), None
    else:
        sentence = f"The data of {first.partition} are unlike those that the model has learnt from."
        comparison, chart = None, _drift(first.metadata)
    return News(
        kind="drift",
        headline=headline,
        sentence=sentence,
        cause=first.line,
        advice="If it is not an error in the data, and it lasts, train on the newer rows:",
        command=_RETRAIN,
        board=_BOARDS[first.asset],
        comparison=comparison,
        chart=chart,
    )


def _gain(values: Mapping[str, Any]) -> list[Change]:
    if "gain" not in values:
        return []
    interval = f"{_metric(values)[0]} less by {values['gain_low']:.4g} to {values['gain_high']:.4g}"
    return [Change("Gain", "", f"{values['gain']:.2%}, {interval}")]


def _leaderboard(values: Mapping[str, Any], unit: str, error: str) -> Bars | None:
    rows = sorted(values.get("leaderboard_rows") or (), key=lambda row: row["loss"])
    bars = [
        Bar(
            name=row["model"] if row["role"] == "candidate" else f"{row['role']}: {row['model']}",
            value=row["loss"],
            text=f"{_quantity(row['loss'], unit)} ({row['low']:.4g} to {row['high']:.4g})",
            stands_out=row["role"] == "candidate" and row["model"] == values.get("challenger"),
        )
        for row in rows
    ]
    return Bars(f"Leaderboard, {error} (shorter is better)", tuple(bars)) if bars else None


def _drift(values: Mapping[str, Any]) -> Bars | None:
    strongest: dict[str, Bar] = {}
    for row in values.get("drift_rows") or ():
        strength = row["value"] / row["limit"]
        if row["variable"] not in strongest or strength > strongest[row["variable"]].value:
            strongest[row["variable"]] = Bar(row["variable"], strength, row["told"], row["verdict"] == "drifted")
    bars = sorted(strongest.values(), key=lambda bar: -bar.value)[:_MOST_BARS]
    return Bars("What moved, longest first; blue: more than the limit", tuple(bars)) if bars else None


def _performance(values: Mapping[str, Any], unit: str) -> Comparison | None:
    rows = []
    label, name = _metric(values)
    promised, realised = values.get(f"promised_{name}"), values.get(f"realised_{name}")
    if promised is not None and realised is not None:
        rows.append(Change(label, _quantity(promised, unit), _quantity(realised, unit)))
    if "promised_coverage" in values and "realised_coverage" in values:
        shares = (f"{values[name]:.0%}" for name in ("promised_coverage", "realised_coverage"))
        rows.append(Change("Held by intervals", *shares))
    return Comparison(tuple(rows), "promised", "came true") if rows else None


def _metric(values: Mapping[str, Any]) -> tuple[str, str]:
    """What losses are called, for people and in metadata; release 0.1 knew RMSE alone."""
    return str(values.get("metric", "RMSE")), str(values.get("metric_name", "rmse"))


def _quantity(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}" if unit else f"{value:.4g}"
