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
    "under 3 minutes",
    "nyc_flights in an empty home, offline",
)
DECEMBER = Figure(
    "embedded default: RMSE on December",
    "14.5 or less (pair mean 16.2, linear 16.15)",
    "the champion's type, fitted on January to October and tuned on November; table below",
)
SECOND = Figure(
    "nothing changed: `mlops-assets run`",
    "0 recomputed; at most 10 s",
    f"median of {AGAIN} further runs of the embedded default; Dagster's own count of runs",
)


def measure(places: Places) -> Report:
    with Home.fresh() as home:
        first = home.run()
        made = home.recorded()
        again = [home.run() for _ in range(AGAIN)]
        recomputed = home.recorded()["runs"] - made["runs"]
    rmse = next(row["rmse"] for row in made["leaderboard_rows"] if row["model"] == made["champion_type"])
    wall, cpu = middle(again, lambda ran: ran.usage.wall), middle(again, lambda ran: ran.usage.cpu)
    spent = f"{first.usage.wall:.0f} s wall, {first.usage.cpu:.0f} CPU s, peak {first.usage.peak_mb:,.0f} MB"
    rows = [
        FIRST.measured(spent, first.usage.wall < 180),
        DECEMBER.measured(f"{rmse:.2f} ({made['champion_type']})", rmse <= 14.5),
        SECOND.measured(f"{recomputed} recomputed; {wall:.1f} s wall, {cpu:.1f} CPU s", not recomputed and wall <= 10),
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
    numbers = [_number(row["validation_rmse"]), _number(row["rmse"]), f"{row['low']:.2f} to {row['high']:.2f}"]
    return name, str(row["trials"] or ""), *numbers, _number(row["fit_seconds"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
