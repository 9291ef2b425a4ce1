"""The default: the first `mlops-assets run` after installation, and the second, which finds nothing to do."""

from __future__ import annotations

from typing import Any

from benchmarks.homes import Home
from benchmarks.measuring import middle
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

AGAIN = 5
FIRST = Figure(
    "embedded default, after installation: the first `mlops-assets run`",
    "at most 70 CPU s and 50 s",
    "nyc_flights in an empty home, offline",
)
DECEMBER = Figure(
    "embedded default: RMSE on December",
    "13.2 or less (pair mean 16.2)",
    "the candidate that became champion, fitted on January to November; table below",
)
SECOND = Figure(
    "nothing changed: `mlops-assets run`",
    "0 recomputed; at most 2.5 s",
    f"median of {AGAIN} further runs of the embedded default; Dagster's own count of runs",
)


def measure(places: Places) -> Report:
    with Home.fresh() as home:
        first = home.run_counting()
        made = home.recorded()
        again = [home.run() for _ in range(AGAIN)]
        recomputed = home.recorded()["runs"] - made["runs"]
    rmse = next(row["loss"] for row in made["leaderboard_rows"] if row["model"] == made["champion_type"])
    wall, cpu = middle(again, lambda ran: ran.usage.wall), middle(again, lambda ran: ran.usage.cpu)
    spent = (
        f"{first.usage.wall:.0f} s wall, {first.usage.cpu:.0f} CPU s, of which XGBoost and scikit-learn themselves "
        f"{first.value:.0f}, peak {first.usage.peak_mb:,.0f} MB"
    )
    rows = [
        FIRST.measured(spent, first.usage.wall <= 50 and first.usage.cpu <= 70),
        DECEMBER.measured(f"{rmse:.2f} ({made['champion_type']})", rmse <= 13.2),
        SECOND.measured(f"{recomputed} recomputed; {wall:.1f} s wall, {cpu:.1f} CPU s", not recomputed and wall <= 2.5),
    ]
    return Report(rows, [_leaderboard(made)])


def _leaderboard(made: dict[str, Any]) -> Table:
    header = ("model", "trials", "validation RMSE", f"{made['judged_on']} RMSE", "interval", "fit seconds")
    return Table(
        "Leaderboard of the embedded default",
        header,
        tuple(_line(row) for row in made["leaderboard_rows"]),
        text="Minutes in the air; validation is November 2013, test is December.",
    )


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    name = row["model"] if row["role"] == "candidate" else f"{row['role']}: {row['model']}"
    numbers = [_number(row["validation_loss"]), _number(row["loss"]), f"{row['low']:.2f} to {row['high']:.2f}"]
    return name, str(row["trials"] or ""), *numbers, _number(row["fit_seconds"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
