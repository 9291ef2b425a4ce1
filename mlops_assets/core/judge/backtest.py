"""Backtest: how good, and how dear, a policy of retraining would have been, period by period.

Each policy starts with a model of the first periods. Before every later period it may fit anew, on nothing but the
periods that were known by then; then the period comes, and shows how good the model is. Who fits and judges is a `Lab`,
handed in. The steps of all policies can be kept as JSON, summed up, and shown as a table or a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from mlops_assets.core.report.document import table as document_table
from mlops_assets.core.report.drawing import Panel, picture
from mlops_assets.errors import DataError, InputError

Periods = tuple[str, ...]
_OLD_NAMES = {"month": "period", "months_learnt": "periods_learnt", "rmse": "loss"}  # until 0.1
Kind = Literal["never", "always", "drift", "gate"]
COLOURS = ("#3b6ea5", "#d9822b", "#4f9d69", "#b0495d", "#7a5ea8", "#8a8f98", "#2f9da3")
HEADER = ("policy", "fits anew", "mean", "worst period", "fitted anew", "fits", "CPU s")


@dataclass(frozen=True)
class Policy:
    """When to fit anew, and on how many of the newest periods at most."""

    name: str
    kind: Kind
    window: int
    description: str


POLICIES = {
    policy.name: policy
    for policy in (
        Policy("never", "never", 12, "one fit on the first periods"),
        *(Policy(f"window-{n}", "always", n, f"every period, on the last {n}") for n in (1, 3, 6, 12)),
        Policy("drift", "drift", 12, "on the last 12 when a drift raised the error beyond the promise"),
        Policy("gate", "gate", 12, "on the last 12 when a challenger was provably better on the newest"),
    )
}


@dataclass(frozen=True)
class Score:
    """How good a model was in a period: the target's metric, and the mean absolute error."""

    loss: float
    mae: float
    rows: int


class Lab(Protocol):
    """Where models are fitted and judged; `learnt` names a model by the periods it was fitted on."""

    def score(self, learnt: Periods, period: str) -> Score: ...

    def cpu_seconds(self, learnt: Periods) -> float:
        """What the fit has cost."""

    def has_drifted(self, learnt: Periods, period: str) -> bool:
        """Whether the drift report of the period names anything."""

    def is_better(self, challenger: Periods, champion: Periods, period: str) -> bool:
        """Whether the gate would promote the challenger, judged on the period."""


@dataclass(frozen=True)
class Step:
    """One period under one policy: the model that answered, and how many fits were made, for how much, before it."""

    policy: str
    period: str
    learnt: Periods
    retrained: bool
    fits: int
    cpu_seconds: float
    score: Score


def choose_policies(names: Sequence[str]) -> tuple[Policy, ...]:
    """The policies of these names, all without any; raises InputError."""
    if unknown := [name for name in names if name not in POLICIES]:
        raise InputError(f"{', '.join(unknown)} is no policy (policies: {', '.join(POLICIES)})")
    return tuple(policy for policy in POLICIES.values() if not names or policy.name in names)


def check_periods(periods: Sequence[str], start: int) -> None:
    """Raises DataError where `start` periods to begin with leave no period to be judged by."""
    if len(periods) <= start:
        raise DataError(
            f"{len(periods)} period(s) are not enough for a backtest that begins with {start}: at least "
            f"{start + 1} have to be cleaned (mlops-assets run), or fewer to begin with"
        )


def walk(policy: Policy, periods: Sequence[str], start: int, lab: Lab, margin: float) -> Iterator[Step]:
    """The steps of one policy from the period after the first `start`.

    `margin`: the share of the promised loss by which a realised one may be above it.
    """
    walker = _Walker(policy, lab, margin)
    for place in range(start, len(periods)):
        yield walker.step(tuple(periods[:place]), periods[place])


class _Walker:
    """A policy on its way; `champion` is the model in force, `fitted` all that were made for it."""

    def __init__(self, policy: Policy, lab: Lab, margin: float) -> None:
        self._policy, self._lab, self._margin = policy, lab, margin
        self._champion: Periods = ()
        self._fitted: list[Periods] = []

    def step(self, past: Periods, period: str) -> Step:
        before = len(self._fitted)
        retrained = not self._champion or self._has_reason(past)
        if retrained:
            self._champion = self._fit(self._window(past))
        score = self._lab.score(self._champion, period)
        fits = self._fitted[before:]
        spent = sum(self._lab.cpu_seconds(fit) for fit in fits)
        return Step(self._policy.name, period, self._champion, retrained, len(fits), spent, score)

    def _window(self, past: Periods) -> Periods:
        return past[-self._policy.window :]

    def _fit(self, learnt: Periods) -> Periods:
        """The model of these periods; the same one is not paid for twice."""
        if learnt not in self._fitted:
            self._fitted.append(learnt)
        return learnt

    def _has_reason(self, past: Periods) -> bool:
        if self._policy.kind == "always":
            return True
        if self._policy.kind == "gate":
            challenger = self._fit(self._window(past[:-1]))
            return challenger != self._champion and self._lab.is_better(challenger, self._champion, past[-1])
        if self._policy.kind == "drift":
            return self._lab.has_drifted(self._champion, past[-1]) and self._breaks_promise(past[-1])
        return False

    def _breaks_promise(self, period: str) -> bool:
        """Whether errors are above those of the same recipe on the newest period that it had not learnt from."""
        promised = self._lab.score(self._fit(self._champion[:-1]), self._champion[-1]).loss
        return self._lab.score(self._champion, period).loss > promised * (1 + self._margin)


@dataclass(frozen=True)
class Summary:
    """A policy over all periods: the mean and the worst of their losses, and what it cost."""

    policy: Policy
    loss: float
    worst: float
    worst_period: str
    retrained: int
    fits: int
    cpu_seconds: float


def summarise(steps: Sequence[Step]) -> tuple[Summary, ...]:
    """One summary a policy, the lowest mean loss first."""
    summaries = []
    for name in dict.fromkeys(step.policy for step in steps):
        own = [step for step in steps if step.policy == name]
        worst = max(own, key=lambda step: step.score.loss)
        summaries.append(
            Summary(
                policy=POLICIES[name],
                loss=float(np.mean([step.score.loss for step in own])),
                worst=worst.score.loss,
                worst_period=worst.period,
                retrained=sum(step.retrained for step in own[1:]),
                fits=sum(step.fits for step in own),
                cpu_seconds=sum(step.cpu_seconds for step in own),
            )
        )
    return tuple(sorted(summaries, key=lambda summary: summary.loss))


def rows(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as JSON can hold them."""
    return [
        {
            "policy": step.policy,
            "period": step.period,
            "learnt_from": step.learnt[0],
            "learnt_until": step.learnt[-1],
            "periods_learnt": len(step.learnt),
            "retrained": step.retrained,
            "fits": step.fits,
            "cpu_seconds": round(step.cpu_seconds, 3),
            "loss": step.score.loss,
            "mae": step.score.mae,
            "rows": step.score.rows,
        }
        for step in steps
    ]


def steps_of(rows: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps of such rows; of what a model learnt from, the first and the last period alone."""
    return [
        Step(
            policy=row["policy"],
            period=row["period"],
            learnt=(row["learnt_from"], row["learnt_until"]),
            retrained=row["retrained"],
            fits=row["fits"],
            cpu_seconds=row["cpu_seconds"],
            score=Score(row["loss"], row["mae"], row["rows"]),
        )
        for row in map(renewed, rows)
    ]


def renewed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the names of now: until 0.1 periods were months, and the loss was RMSE."""
    return {_OLD_NAMES.get(name, name): value for name, value in row.items()}


def table(steps: Sequence[Step]) -> str:
    """Markdown: a line a policy, the lowest mean loss first."""
    return document_table(HEADER, [cells(summary) for summary in summarise(steps)]).markdown()


def cells(summary: Summary) -> tuple[str, ...]:
    """A policy as the cells of a table."""
    policy, worst = summary.policy, f"{summary.worst:.4g} ({summary.worst_period})"
    counts = str(summary.retrained), str(summary.fits), f"{summary.cpu_seconds:.0f}"
    return policy.name, policy.description, f"{summary.loss:.4g}", worst, *counts


def by_period(steps: Sequence[Step], heading: str) -> bytes:
    """The metric of each period, and CPU seconds up to it, a line a policy; a dot where it was fitted anew."""
    periods = sorted({step.period for step in steps})
    places = {period: place for place, period in enumerate(periods)}
    error, cost = (
        Panel(heading, columns=periods),
        Panel("CPU seconds up to the period", columns=periods),
    )
    for number, summary in enumerate(summarise(steps)):
        own = sorted((step for step in steps if step.policy == summary.policy.name), key=lambda step: step.period)
        x = np.array([places[step.period] for step in own])
        fresh, colour = np.array([step.retrained for step in own]), COLOURS[number % len(COLOURS)]
        spent = np.cumsum([step.cpu_seconds for step in own])
        for panel, y in ((error, np.array([step.score.loss for step in own])), (cost, spent)):
            panel.line(x, y, colour, summary.policy.name)
            panel.dots(x[fresh], y[fresh], colour)
    cost.dots(0, 0, size=0)  # from where it is counted
    return picture([error, cost], (460, 320), columns=2)
