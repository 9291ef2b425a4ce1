"""`python -m benchmarks`: measure all short ones, or the benchmarks named, and write docs/benchmarks.md."""

import argparse
import sys
from pathlib import Path

from benchmarks import (
    accuracy,
    answers,
    backtest,
    big_data,
    blend,
    counts,
    daemon,
    dashboards,
    definitions,
    drift,
    embedded,
    environment,
    gate,
    idle,
    late,
    periods,
    pipeline,
    preparation,
    serving,
    siege,
    simulate,
    suggesters,
    tables,
    throughput,
    tracking,
)
from benchmarks.measuring import ROOT
from benchmarks.places import Places
from benchmarks.results import Results

BENCHMARKS = {
    "counts": counts.measure,
    "preparation": preparation.measure,
    "accuracy": accuracy.measure,
    "blend": blend.measure,
    "pipeline": pipeline.measure,
    "embedded": embedded.measure,
    "definitions": definitions.measure,
    "periods": periods.measure,
    "daemon": daemon.measure,
    "idle": idle.measure,
    "environment": environment.measure,
    "gate": gate.measure,
    "late": late.measure,
    "simulate": simulate.measure,
    "tracking": tracking.measure,
    "throughput": throughput.measure,
    "answers": answers.measure,
    "drift": drift.measure,
    "backtest": backtest.measure,
    "dashboards": dashboards.measure,
    "serving": serving.measure,
    "siege": siege.measure,
    "suggesters": suggesters.measure,
    "tables": tables.measure,
    "big_data": big_data.measure,
}
LONG = ("big_data", "tables")  # an hour; measured only when named


def main() -> None:
    if sys.argv[1:2] == ["simulate"] and sys.argv[2:]:  # with options of its own, it only prints
        sys.exit(simulate.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; the short ones without")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="folder of the taxi files")
    baseline = ROOT / "../shared/benchmarks/tutorial_baseline.py"
    parser.add_argument("--baseline", type=Path, default=baseline, help="the tutorial's algorithm as one script")
    parser.add_argument("--venv", action="store_true", help="measure a fresh installation, not the one at hand")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"{', '.join(unknown)}: no such benchmark (there are {', '.join(BENCHMARKS)})")
    places = Places.find(options.data, options.baseline, options.venv)
    results = Results(ROOT / "docs/benchmarks.json", ROOT / "docs/benchmarks.md", tuple(BENCHMARKS))
    for name in options.names or [name for name in BENCHMARKS if name not in LONG]:
        print(f"{name} …", flush=True)
        report = BENCHMARKS[name](places)
        results.add(name, report)
        for row in report.rows:
            print(f"  {row.what}: {row.measured}" + (f" (reach: {row.reach})" if row.reach else ""), flush=True)
        for table in report.tables:
            print(f"  {table.title}: {' | '.join(table.header)}")
            print(*(f"    {' | '.join(line)}" for line in table.lines), sep="\n", flush=True)


if __name__ == "__main__":
    main()
