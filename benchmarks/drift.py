"""Drift on real months: what is named as they are, what of planted changes, and what of months without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.measuring import call
from benchmarks.months import SEED, Fitted, History, Month
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

if TYPE_CHECKING:
    from mlops_assets.core.monitor.drift import DriftReport

FLIGHTS, TAXI = "nyc_flights", "nyc_green_taxi"
PLANTED_IN = {FLIGHTS: "2013-10", TAXI: "2024-02"}  # months in which nothing else has drifted
SHUFFLED = 20
DECEMBER = Figure(
    "drift: December of the flights",
    "named",
    "each month against all before it, with XGBoost fitted on those; see the table",
)
QUIET = Figure(
    "drift: other real months",
    "",
    "months of flights and taxi trips of which nothing is named; the others are in the table with what is",
)
PLANTED = Figure(
    "drift: planted changes",
    "each is named, and nothing that has not changed with it",
    "October 2013 and February 2024 with a number scaled by 1.6, a category gone, every fifth value missing, clocks 5 "
    "hours late, or the targets of the last 10 days unknown",
)
ALARMS = Figure(
    f"drift: false alarms on {SHUFFLED} shuffled months",
    "at most 1",
    "all rows of each dataset shuffled into as many equal months, each against the others",
)


def measure(places: Places) -> Report:
    sources = {FLIGHTS: None} | ({TAXI: places.source_uri} if places.months else {})
    found = {name: call(examine, dataset=name, source_uri=uri).value for name, uri in sources.items()}
    walked = [(name, *line) for name, one in found.items() for line in one["walked"]]
    planted = [(name, *line) for name, one in found.items() for line in one["planted"]]
    alarms = sum(one["alarms"] for one in found.values())
    december = next(named for name, month, named, *_ in walked if (name, month) == (FLIGHTS, "2013-12"))
    others = [named for name, month, named, *_ in walked if (name, month) != (FLIGHTS, "2013-12")]
    quiet, right = sum(not named for named in others), sum(line[-1] for line in planted)
    rows = [
        DECEMBER.measured(december or "not named", bool(december)),
        QUIET.measured(f"{quiet} of {len(others)} are quiet"),
        PLANTED.measured(f"{right} of {len(planted)}", right == len(planted)),
        ALARMS.measured(f"{alarms} ({', '.join(found)})", alarms <= len(found)),
    ]
    return Report(rows, [_walk_table(walked), _planted_table(planted)])


def _walk_table(walked: list[tuple]) -> Table:
    return Table(
        "Drift of each month against those before it",
        ("dataset", "month", "drifted", "RMSE", "bias", "strongest effect"),
        tuple((name, month, named or "–", *rest) for name, month, named, *rest in walked),
        text="Bias is of the truth beside the prediction; an effect is shown beside the limit at which it counts.",
    )


def _planted_table(planted: list[tuple]) -> Table:
    lines = tuple((name, what, named, told) for name, what, named, told, _ in planted)
    return Table("Planted changes, and what the report names", ("dataset", "planted", "named", "in words"), lines)


def examine(dataset: str, source_uri: str | None) -> dict:
    """What the report says of each month, of each planted change, and how often it is wrong about shuffled months."""
    history = History(dataset, source_uri)
    return {
        "walked": [_walk(history, month) for month in list(history.months)[1:]],
        "planted": [_plant(history, PLANTED_IN[dataset], *plant) for plant in PLANTS[dataset]],
        "alarms": _alarms(history),
    }


def _compare(history: History, month: Month, reference: list[Month], model: Fitted | None = None) -> DriftReport:
    from mlops_assets.core.monitor.drift import compare

    now, before = history.sample([month], model), history.sample(reference, model)
    return compare(now, before, held_out=model is not None)


def _walk(history: History, month: str) -> tuple[str, ...]:
    import numpy as np

    now, before = history.months[month], history.before(month)
    model = history.fit(before)
    error = now.y - model.predict(now.columns)
    report = _compare(history, now, before, model)
    effect = report.shifts[0].strongest
    told = f"{report.shifts[0].name}: {effect.measure} {effect.value:.3f} of {effect.limit:.3f}"
    named = ", ".join(shift.name for shift in report.drifted)
    return month, named, f"{np.sqrt((error**2).mean()):.2f}", f"{error.mean():+.2f}", told


def _alarms(history: History) -> int:
    """Of how many shuffled months anything is named."""
    import numpy as np

    from benchmarks.months import thinned
    from mlops_assets.core.columns import take
    from mlops_assets.core.monitor.drift import Dropped

    columns, y = thinned(list(history.months.values()), 10**9)
    rows = np.random.default_rng(SEED).permutation(len(y))
    months = [Month(take(columns, part), y[part], Dropped(len(part), {})) for part in np.array_split(rows, SHUFFLED)]
    reports = (_compare(history, now, [one for one in months if one is not now]) for now in months)
    return sum(bool(report.drifted) for report in reports)


def _plant(
    history: History, month: str, what: str, change: Callable[[Month], Month], expected: list[str]
) -> tuple[str, str, str, bool]:
    report = _compare(history, change(history.months[month]), history.before(month))
    named = {shift.name for shift in report.drifted}
    told = "; ".join(shift.strongest.words for shift in report.drifted)
    return what, ", ".join(sorted(named)) or "–", told, expected[0] in named and named <= {*expected}


def _scaled(alias: str, factor: float) -> Callable[[Month], Month]:
    return lambda month: Month(month.columns | {alias: month.columns[alias] * factor}, month.y, month.dropped)


def _without(alias: str, category: str | float) -> Callable[[Month], Month]:
    def change(month: Month) -> Month:
        from mlops_assets.core.columns import take

        kept = month.columns[alias] != category
        return Month(take(month.columns, kept), month.y[kept], month.dropped)

    return change


def _with_holes(alias: str) -> Callable[[Month], Month]:
    def change(month: Month) -> Month:
        values = month.columns[alias].copy()
        values[::5] = None if values.dtype == object else float("nan")
        return Month(month.columns | {alias: values}, month.y, month.dropped)

    return change


def _late_clocks(alias: str) -> Callable[[Month], Month]:
    def change(month: Month) -> Month:
        import numpy as np

        return Month(month.columns | {alias: month.columns[alias] + np.timedelta64(5, "h")}, month.y, month.dropped)

    return change


def _late_labels(alias: str) -> Callable[[Month], Month]:
    """Rows of the last 10 days have no target yet: cleaning drops them."""

    def change(month: Month) -> Month:
        from mlops_assets.core.columns import take
        from mlops_assets.core.monitor.drift import Dropped

        days = month.columns[alias].astype("datetime64[D]")
        known = days <= days.max() - 10
        unknown = month.dropped.by_rule["target is known"] + int((~known).sum())
        dropped = Dropped(month.dropped.rows, dict(month.dropped.by_rule) | {"target is known": unknown})
        return Month(take(month.columns, known), month.y[known], dropped)

    return change


# What is planted, how, what has to be named for it, and what may be named beside it because it moves too.
PLANTS = {
    FLIGHTS: [
        ("distance scaled by 1.6", _scaled("distance", 1.6), ["distance"]),
        ("carrier B6 gone", _without("carrier", "B6"), ["carrier", "origin", "destination"]),
        ("every fifth destination missing", _with_holes("destination"), ["destination"]),
        ("departures 5 hours late", _late_clocks("departure_at"), ["departure_at_hour", "departure_at_weekday"]),
        ("targets of the last 10 days unknown", _late_labels("departure_at"), ["dropped: target is known"]),
    ],
    TAXI: [
        ("distance scaled by 1.6", _scaled("distance", 1.6), ["distance"]),
        ("vendor 1 gone", _without("vendor", 1.0), ["vendor"]),
        ("every fifth number of passengers missing", _with_holes("passengers"), ["passengers"]),
        (
            "pick-ups 5 hours late",
            _late_clocks("pickup_at"),
            ["pickup_at_hour", "pickup_at_minute_of_day", "pickup_at_minute_of_week", "pickup_at_weekday"],
        ),
        ("targets of the last 10 days unknown", _late_labels("pickup_at"), ["dropped: target is known"]),
    ],
}
