"""The model card of a champion (Mitchell et al., 2019), made from what is recorded of it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.explain.importance import Explanation
from mlops_assets.core.explain.plots import importance_bars
from mlops_assets.core.prepare.splitting import Periods
from mlops_assets.core.report.document import Block, Code, Document, Paragraph, Picture, Points, Section, Table, table
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dataset import SNAPSHOT, DatasetSpec

if TYPE_CHECKING:
    from mlops_assets.core.features.signature import Input
    from mlops_assets.core.monitor.performance import Realised, Segment

TOP = 10
COVERAGE_SLACK = 0.03  # so far below what is meant, an interval's coverage is named as a limit
CALENDAR = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Judged:
    """How good the model that won was on rows that it had not learnt from; `periods` are those of the rows."""

    by_version: int
    split: str
    periods: tuple[str, ...]
    overall: Realised
    segments: tuple[Segment, ...]
    leaderboard: Sequence[Mapping[str, Any]]
    coverage: float | None  # that the intervals are made to hold


@dataclass(frozen=True)
class Origin:
    """What a model was made from, by name, and the commands that make it again."""

    facts: Mapping[str, str]
    parameters: Mapping[str, Any]
    commands: str


@dataclass(frozen=True, eq=False)
class CardFacts:
    """All that a card says."""

    spec: DatasetSpec
    version: int
    model_type: str
    verdict: str
    periods: Periods
    rows_by_period: Mapping[str, int]
    inputs: Sequence[Input]
    judged: Judged
    explanation: Explanation
    origin: Origin
    added: float = 0.0  # to each answer, in the target's unit


def model_card(facts: CardFacts, *, pictures: bool) -> Document:
    """The card as a document."""
    spec = facts.spec
    return Document(
        title=f"{spec.name}, version {facts.version}: {facts.model_type}",
        summary=f"{spec.redact(spec.description)} {facts.verdict}".strip(),
        sections=(
            Section("What it predicts", tuple(_purpose(spec))),
            Section("Data", tuple(_data(facts))),
            Section("Inputs", (_inputs(facts.inputs),)),
            Section("How good it is", tuple(_quality(facts))),
            Section("What it goes by", tuple(_explanation(facts, pictures))),
            Section("Limits", (Points(tuple(_limits(facts))),)),
            Section("How to make it again", tuple(_origin(facts.origin))),
        ),
    )


def _purpose(spec: DatasetSpec) -> Iterator[Block]:
    unit = f", in {spec.target.unit}" if spec.target.unit else ""
    learnt = target_of(spec.target).told(np.empty(0))
    yield Paragraph(f"The target is made of {' to '.join(spec.target.columns)}{unit}; it is learnt as {learnt}.")
    if spec.target.keep:
        low, high = spec.target.keep
        yield Paragraph(f"Values from {low:g} to {high:g} are learnt and predicted; rows with any other were left out.")
    yield Paragraph("It answers from what is known before the event: the inputs below.")


def _data(facts: CardFacts) -> Iterator[Block]:
    periods, judged = facts.periods, facts.judged
    rows = sum(facts.rows_by_period.values())
    learnt = "train and validation" if judged.split == "test" else "the train split alone"
    window = "one snapshot" if periods.all == (SNAPSHOT,) else f"{periods.all[0]} to {periods.all[-1]}"
    yield Paragraph(
        f"The champion has learnt from {rows:,} clean rows: {window}. Version {judged.by_version}, which won for it, "
        f"has learnt from {learnt}; its parameters were chosen on validation."
    )
    used = [(name, ", ".join(getattr(periods, name)) or "none") for name in ("train", "validation", "test")]
    yield table(("split", "periods"), used)
    yield table(("period", "clean rows"), [(period, f"{count:,}") for period, count in facts.rows_by_period.items()])


def _inputs(inputs: Sequence[Input]) -> Table:
    rows = []
    for item in inputs:
        categories = f"{len(item.categories):,} categories" if item.categories is not None else ""
        low, high = (f"{end:g}" if isinstance(end, float) else str(end)[:16] for end in (item.low, item.high))
        span = f"{low} to {high}" if item.low is not None else ""
        rows.append((item.name, item.type, "; ".join(part for part in (categories, span) if part)))
    return table(("input", "type", "learnt from"), rows)


def _quality(facts: CardFacts) -> Iterator[Block]:
    judged, target = facts.judged, target_of(facts.spec.target)
    metric = target.metric
    where = judged.split if judged.periods == (SNAPSHOT,) else f"{judged.split}, {', '.join(judged.periods)}"
    yield Paragraph(f"Version {judged.by_version} on rows that it has not learnt from ({where}):")
    rows = [_score_row("all rows", judged.overall)]
    rows += [_score_row(segment.name, segment.realised) for segment in judged.segments]
    yield table(("rows", "number", metric.heading(target.unit), "MAE", "bias", f"in the {target.span}"), rows)
    if judged.coverage is not None:
        yield Paragraph(f"{target.span.capitalize()}s are made to hold {judged.coverage:.0%} of the true values.")
    yield Paragraph("Beside its rivals on the same rows:")
    ranks = [(row["role"], row["model"], row["version"], f"{row['loss']:.4g}") for row in judged.leaderboard]
    intervals = [f"{row['low']:.4g} to {row['high']:.4g}" for row in judged.leaderboard]
    lines = [(*rank, interval) for rank, interval in zip(ranks, intervals, strict=True)]
    yield table(("role", "model", "version", metric.label, "interval"), lines)
    yield Paragraph(facts.verdict)


def _score_row(name: str, realised: Realised) -> tuple[str, ...]:
    coverage = "" if realised.coverage is None else f"{realised.coverage:.1%}"
    numbers = f"{realised.loss:.4g}", f"{realised.mae:.4g}", f"{realised.bias:+.3g}"
    return name, f"{realised.rows:,}", *numbers, coverage


def _explanation(facts: CardFacts, pictures: bool) -> Iterator[Block]:
    explanation, unit = facts.explanation, target_of(facts.spec.target).adds_in
    yield Paragraph(f"Over {explanation.rows:,} rows of the newest period.")
    rows = [(weight.name, f"{weight.value:.4g}") for weight in explanation.importance[:TOP]]
    yield table(("feature", f"{explanation.method}{f' ({unit})' if unit else ''}"), rows)
    if facts.added:
        yield Paragraph(
            f"Every answer has {facts.added:+.3g}{f' {unit}' if unit else ''} in it for what the newest period's truth "
            "lay beside its predictions: as much of that as earlier periods have passed on to the next."
        )
    if pictures:
        yield Picture(importance_bars(explanation, unit), "importance of features")


def _limits(facts: CardFacts) -> Iterator[str]:
    spec, judged, target = facts.spec, facts.judged, target_of(facts.spec.target)
    yield (
        f"All figures above are of version {judged.by_version}. The champion is its recipe fitted once more, on the "
        "judged rows too, so that no rows are left to judge it by until the next period."
    )
    worst = max(judged.segments, key=lambda segment: segment.realised.loss, default=None)
    if worst:
        overall = judged.overall.loss
        label = target.metric.label
        yield f"Errors are largest for {worst.name}: {label} {worst.realised.loss:.4g}, where {overall:.4g} is overall."
    for segment in judged.segments:
        coverage, aim = segment.realised.coverage, judged.coverage
        if coverage is not None and aim is not None and coverage < aim - COVERAGE_SLACK:
            yield f"{target.span.capitalize()}s hold {coverage:.1%} of the truth for {segment.name}, not {aim:.0%}."
    if spec.time:
        cadence = spec.time.cadence
        numbers = {month for period in facts.periods.all for month in cadence.months_in(period)}
        if unseen := [name for number, name in enumerate(CALENDAR, start=1) if number not in numbers]:
            yield f"It has seen none of these months of a year: {', '.join(unseen)}."
        yield f"It knows nothing of what has changed since {facts.periods.all[-1]}.{facts.periods.gap_note}"
    if needed := [item.name for item in facts.inputs if item.was_missing is False]:
        yield f"It has learnt from no row without {', '.join(needed)}: one is refused, or answered without an interval."
    yield (
        "A value outside the range above, or a category that it has not met, is answered all the same, and flagged: "
        "the answer rests on what is known of the other inputs."
    )
    yield "What it goes by is no cause: to change an input in the world need not change the target as it does here."


def _origin(origin: Origin) -> Iterator[Block]:
    yield table(("from", "is"), list(origin.facts.items()))
    yield Paragraph("Parameters:")
    yield Code(json.dumps(dict(origin.parameters), indent=1, sort_keys=True, default=str))
    yield Paragraph(
        "From the same data, settings and versions, this makes it again, unless a search was ended by its seconds "
        "(MLOPS_TUNING_SECONDS), or trials were allotted by CPU (MLOPS_CPU_MINUTES):"
    )
    yield Code(origin.commands)
