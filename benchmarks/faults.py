"""A fault at each change that a small run makes on disk, and whether the next run ends as if nothing had happened.

    python -m benchmarks.faults [--places] [--every 25] [--first 1] [--kinds kill,full,broken] [--turns] [--list]

What a run writes, renames, flushes and removes below its home is counted by a library that is compiled here (faults.c,
Linux). Then, for every n-th of these changes and each kind of fault, a new home gets a run in which that change fails:
`kill` ends the process there, `full` is a disk that has no room from there on, `broken` is one I/O error. The run that
follows has no fault; its result is held against that of a run that was never disturbed. Both are forks of a process
that has everything imported, and they begin with a copy of the home as it was before the asset whose changes are
counted. A TMPDIR in memory spares the disk.

There are some 27,000 changes, most of them Dagster's SQLite, again and again: all with every kind are days.
--places takes the first change of each sort while an asset is made, such as the rename of a clean month; --turns gives
each change one kind, in turn. --every 1 takes all of these.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.forked import Forked
from mlops_assets_tests.homes import SHOP, write_period

KINDS = {"none": 0, "kill": 1, "full": 2, "broken": 3}
MONTHS = ("2024-01", "2024-02", "2024-03")
SECONDS = 600  # for a run, on a machine that has other things to do
RESULT = "result"
ASSETS = (
    "raw_data",
    "clean_data",
    "training_set",
    "hyperparameters",
    "sklearn_model",
    "champion_model",
    "predictions",
    "model_performance",
    "drift_report",
)
SHARED = ("raw_data", "clean_data", "training_set", "hyperparameters", "predictions")


class _State(ctypes.Structure):
    """What faults.c maps."""

    _fields_ = [
        ("count", ctypes.c_long),
        ("at", ctypes.c_long),
        ("kind", ctypes.c_long),
        ("hit", ctypes.c_long),
        ("folder", ctypes.c_char * 1024),
    ]


@dataclass(frozen=True)
class Change:
    """The `number`-th change of a run that begins where `asset` is to be made next, such as `rename mlflow.db`."""

    asset: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.asset} {self.number} ({self.what})"


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, negative for a signal, what it printed, and the change that failed, or 0."""

    code: int
    text: str
    hit: int


@dataclass(frozen=True)
class Result:
    """What came of a home: content by asset, and counts of runs and versions."""

    content: Mapping[str, str]
    counts: Mapping[str, int]


@dataclass
class Tally:
    """Faults so far, and the complaints about what came of them."""

    faults: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=25, help="take every n-th change; 1 takes all")
    parser.add_argument("--first", type=int, default=1, help="the first change to take")
    parser.add_argument("--places", action="store_true", help="of changes of one sort, only the first")
    parser.add_argument("--turns", action="store_true", help="the kinds in turn, and not all at each change")
    parser.add_argument("--kinds", default="kill,full,broken")
    parser.add_argument("--list", action="store_true", help="only list the changes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, closing(Bench(Path(folder))) as bench:
        print(", ".join(f"{count} {kind}" for kind, count in kinds_of(bench.changes).items()), flush=True)
        chosen = places_of(bench.changes) if options.places else bench.changes
        chosen = chosen[options.first - 1 :: options.every]
        if options.list:
            print("\n".join(map(str, chosen)))
            return 0
        print(f"{len(chosen)} of {len(bench.changes)} changes get a fault", flush=True)
        tally, all_kinds = Tally(), options.kinds.split(",")
        for turn, change in enumerate(chosen):
            for kind in [all_kinds[turn % len(all_kinds)]] if options.turns else all_kinds:
                complaint = bench.complaint(kind, change)
                tally.faults[kind] += 1
                if complaint:
                    tally.complaints.append(f"{kind} at {change}: {complaint}")
                print(tally.complaints[-1] if complaint else f"{kind} at {change}: well", flush=True)
        print(f"{dict(tally.faults)} faults, {len(tally.complaints)} complaints")
        print("\n".join(tally.complaints))
        return int(bool(tally.complaints))


def kinds_of(changes: list[Change]) -> Counter[str]:
    return Counter(change.what.split()[0] for change in changes)


def places_of(changes: list[Change]) -> list[Change]:
    """The first change of each sort while an asset is made: the same call, for a file of the same kind."""
    first: dict[tuple[str, str], Change] = {}
    for change in changes:
        sort = re.sub(r"(?<=[/.]run\.)\w{8}(?=/|$)|(?<=/)\w{8}(?=\.(out|err)$)", "#", change.what)
        sort = re.sub(r"[0-9a-f-]{16,}|[0-9a-f]*[0-9][0-9a-f]*", "#", sort)
        sort = re.sub(r"(training_set/\S+/)\w+", r"\1#", sort)
        first.setdefault((change.asset, sort), change)
    return list(first.values())


class Bench:
    """A home below a folder, as it was before each asset, and runs in it that a fault may hit."""

    changes: list[Change]
    undisturbed: Result

    def __init__(self, folder: Path) -> None:
        self._home, self._homes = folder / "home", folder / "homes"
        self._state, self._trace = folder / "state", folder / "trace"
        library, source = folder / "faults.so", Path(__file__).with_name("faults.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self._state.write_bytes(bytes(_State()))
        self._runs = Forked({"LD_PRELOAD": str(library), "FAULTS": str(self._state), "FAULTS_TRACE": str(self._trace)})
        self._make_home(folder / "sales")
        self._make_assets()

    def close(self) -> None:
        self._runs.close()

    def complaint(self, kind: str, change: Change) -> str:
        """What is not as it should be after a fault, and the run that follows; empty where all is well."""
        shutil.rmtree(self._home)
        shutil.copytree(self._homes / change.asset, self._home, symlinks=True)
        first = self._run(kind, change.number, "mlops_assets.cli:main", "mlops-assets", "run")
        if not first.hit:
            return ""  # this run made fewer changes
        if complaint := _of_first(kind, first):
            return complaint
        second = self._run("none", 0, "benchmarks.faults:run_and_read", "mlops-assets", "run")
        if second.code:
            return f"the next run ended with {second.code}: {second.text[-1500:]}"
        return _difference(self._result(), self.undisturbed)

    def _make_home(self, sales: Path) -> None:
        sales.mkdir()
        for month in MONTHS:
            write_period(sales, month)
        self._home.mkdir()
        spec = SHOP | {"source": {"kind": "files", "uri": f"{sales}/sales_{{period}}.csv"}}
        (self._home / "shop.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")

    def _make_assets(self) -> None:
        """One after the other: the home before each, the changes that it makes, and what comes of all."""
        self.changes = []
        for asset in ASSETS:
            shutil.copytree(self._home, self._homes / asset, symlinks=True)
            self._undisturbed("benchmarks.faults:make_next", asset)
            lines = self._trace.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, start=1):
                self.changes.append(Change(asset, number, line.partition(" ")[2]))
        self._undisturbed("benchmarks.faults:run_and_read", "mlops-assets", "run")
        self.undisturbed = self._result()

    def _undisturbed(self, function: str, *words: str) -> None:
        ended = self._run("none", 0, function, *words)
        if ended.code:
            raise SystemExit(f"an undisturbed run ended with {ended.code}: {ended.text}")

    def _run(self, kind: str, at: int, function: str, *words: str) -> Ended:
        """A call in the home, with a fault at a change below `var` in it."""
        self._trace.write_bytes(b"")
        with self._state.open("r+b") as shared:  # the process has mapped it
            shared.write(bytes(_State(0, at, KINDS[kind], 0, f"{self._home / 'var'}/".encode())))
        code = self._runs.call(function, self._home / "log", SECONDS, _environment(self._home), *words)
        after = _State.from_buffer_copy(self._state.read_bytes())
        return Ended(code, (self._home / "log").read_text("utf-8", "replace"), after.hit)

    def _result(self) -> Result:
        # Our own process has written it, a moment ago.
        return pickle.loads((self._home / RESULT).read_bytes())


def _environment(home: Path) -> dict[str, str]:
    from mlops_assets.settings import PREFIX, Settings

    unset = {f"{PREFIX}{name.upper()}": "" for name in Settings.model_fields}
    chosen = {
        "MLOPS_HOME": str(home / "var"),
        "MLOPS_DATASET": str(home / "shop.yaml"),
        "MLOPS_MODEL_TYPES": "Ridge",
        "MLOPS_MAX_TRIALS": "3",
        "DAGSTER_HOME": "",
        "COLUMNS": "400",
    }
    return unset | chosen


def make_next() -> None:
    """Make an asset, the first word, as `mlops-assets run` does; all upstream of it is made."""
    from mlops_assets.cli.run import make_asset
    from mlops_assets.cli.runner import Runner, exclusive
    from mlops_assets.cli.terminal import TerminalProgress, open_console
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project, made = open_project(), sys.argv[0]
    with exclusive(project), open_instance(project) as instance, TerminalProgress(open_console()) as progress:
        runner = Runner(instance, project, progress)
        if runner.plan.assets != ASSETS:
            raise SystemExit(f"the assets are not {', '.join(ASSETS)}, but {', '.join(runner.plan.assets)}")
        for asset in ASSETS[: ASSETS.index(made) + 1]:
            if any(outcome.error for outcome in make_asset(runner, asset, progress)):
                raise SystemExit(f"{asset} could not be made")


def run_and_read() -> int:
    """`mlops-assets run`, and what came of it into the file RESULT beside the home folder."""
    from mlops_assets.cli import main as command

    try:
        command()
    except SystemExit as end:
        if end.code:
            return int(end.code)
    (Path(os.environ["MLOPS_HOME"]).parent / RESULT).write_bytes(pickle.dumps(_read_result()))
    return 0


def _read_result() -> Result:
    from mlops_assets.assets.records import Records
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    content: dict[str, str] = {}
    with open_instance(project) as instance:
        for asset in SHARED:
            records = Records(instance).all_latest(asset) or {"": Records(instance).latest(asset)}
            content |= {f"{asset} {name}": record.content for name, record in records.items() if record}
        record = Records(instance).latest("champion_model")
        content["verdict"] = str(record.value("verdict")) if record else "none"
        unfinished = sum(not run.is_finished for run in instance.get_runs())
    client, experiment = project.tracking.client, project.tracking.experiment_id
    runs = client.search_runs([experiment], max_results=5000)
    finished = Counter(run.info.run_name for run in runs if run.info.status == "FINISHED")
    recipes = Counter(version.tags.get("recipe", "") for version in project.registry.versions().values())
    champion = project.registry.champion()
    counts = {
        "runs of Dagster that are not finished": unfinished,
        "runs of MLflow that are RUNNING": sum(run.info.status == "RUNNING" for run in runs),
        "runs of MLflow that were done twice": sum(count - 1 for count in finished.values()),
        "versions that were made twice": sum(count - 1 for count in recipes.values()),
        "versions": len(recipes),
        "champions": int(champion is not None),
        "times as champion": len(project.registry.history()),
        "trials": sum("trial" in run.data.tags and run.info.status == "FINISHED" for run in runs),
    }
    if champion:
        project.registry.load(champion.number)
    return Result(content, counts)


def _of_first(kind: str, first: Ended) -> str:
    """What is wrong with how the run that was hit ended."""
    text = first.text
    if kind == "kill":
        return "" if first.code == -signal.SIGKILL else f"it was not killed: {first.code}, {text[-500:]}"
    if "Traceback" in text or first.code < 0 or first.code > 2:
        return f"it ended with {first.code}: {text[-1500:]}"
    # Where SQLite meets a full disk while it flushes, it speaks of an I/O error, and this disk has room in truth.
    if kind == "full" and first.code and "the disk at " not in text:
        return f"it does not say that the disk is full: {text[-800:]}"
    return ""


def _difference(result: Result, undisturbed: Result) -> str:
    parts = [
        f"{name}: {values.get(name)} instead of {wanted.get(name)}"
        for values, wanted in ((result.content, undisturbed.content), (result.counts, undisturbed.counts))
        for name in sorted({*values, *wanted})
        if values.get(name) != wanted.get(name)
    ]
    return "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
