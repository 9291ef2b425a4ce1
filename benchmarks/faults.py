"""A fault at each change that a small run makes on disk, and whether the next run ends as if nothing had happened.

    python -m benchmarks.faults [--places] [--every 25] [--first 1] [--kinds kill,full,broken] [--turns] [--list]

What a run writes, renames, flushes and removes below its home is counted by a library that is compiled here (faults.c,
Linux). Then, for every n-th of these changes and each kind of fault, a new home gets a run in which that change fails:
`kill` ends the process there, `full` is a disk that has no room from there on, `broken` is one I/O error. The run that
follows has no fault; its result is held against that of a run that was never disturbed.

There are some 27,300 changes, most of them Dagster's SQLite, again and again: all with every kind are weeks.
--places takes the first change of each sort, such as the rename of a clean month, which are some 200; --turns gives
each change one kind, in turn. --every 1 takes all of these.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mlops_assets_tests.homes import SHOP, write_period

KINDS = {"none": 0, "kill": 1, "full": 2, "broken": 3}
MONTHS = ("2024-01", "2024-02", "2024-03")
SECONDS = 600  # for a run, on a machine that has other things to do
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
class Ended:
    """How a run ended: its exit code, negative for a signal, what it printed, changes made, and the one that failed."""

    code: int
    text: str
    changes: int
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
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        undisturbed, changes = bench.undisturbed()
        print(
            f"{len(changes)} changes: " + ", ".join(f"{n} {kind}" for kind, n in kinds_of(changes).items()), flush=True
        )
        numbers = places_of(changes) if options.places else list(range(1, len(changes) + 1))
        numbers = numbers[options.first - 1 :: options.every]
        if options.list:
            print("\n".join(f"{at} {changes[at - 1]}" for at in numbers))
            return 0
        print(f"{len(numbers)} of them get a fault", flush=True)
        tally, all_kinds = Tally(), options.kinds.split(",")
        for turn, at in enumerate(numbers):
            for kind in [all_kinds[turn % len(all_kinds)]] if options.turns else all_kinds:
                complaint = bench.complaint(kind, at, undisturbed)
                tally.faults[kind] += 1
                if complaint:
                    tally.complaints.append(f"{kind} at {at} ({changes[at - 1]}): {complaint}")
                print(tally.complaints[-1] if complaint else f"{kind} at {at} ({changes[at - 1]}): well", flush=True)
        print(f"{dict(tally.faults)} faults, {len(tally.complaints)} complaints")
        print("\n".join(tally.complaints))
        return int(bool(tally.complaints))


def kinds_of(changes: list[str]) -> Counter[str]:
    return Counter(change.split()[0] for change in changes)


def places_of(changes: list[str]) -> list[int]:
    """The number of the first change of each sort: the same call, for files of one kind in the same folder."""
    first: dict[tuple[str, ...], int] = {}
    for number, change in enumerate(changes, start=1):
        call, _, path = re.sub(r"[0-9a-f-]{16,}|[0-9a-f]*[0-9][0-9a-f]*", "#", change).partition(" ")
        folder, _, name = path.rpartition("/")
        first.setdefault((call, folder, name.rpartition(".")[2] if "training_set" in folder else name), number)
    return list(first.values())


class Bench:
    """Homes below one folder, each with a run that a fault may hit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / "faults.so"
        source = Path(__file__).with_name("faults.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"], check=True)
        self._sales = folder / "sales"
        self._sales.mkdir()
        for month in MONTHS:
            write_period(self._sales, month)
        self._homes = 0

    def undisturbed(self) -> tuple[Result, list[str]]:
        """What a run without a fault gives, and the changes that it makes."""
        home = self._new_home()
        ended = self._run(home, "none", 0)
        if ended.code:
            raise SystemExit(f"the undisturbed run ended with {ended.code}: {ended.text}")
        lines = (home / "trace").read_text(encoding="utf-8").splitlines()
        result = self._result(home)
        shutil.rmtree(home)
        return result, [line.partition(" ")[2] for line in lines]

    def complaint(self, kind: str, at: int, undisturbed: Result) -> str:
        """What is not as it should be after a fault, and the run that follows; empty where all is well."""
        home = self._new_home()
        try:
            first = self._run(home, kind, at)
            if not first.hit and kind != "none":
                return ""  # this run made fewer changes
            if complaint := _of_first(kind, first):
                return complaint
            second = self._run(home, "none", 0)
            if second.code:
                return f"the next run ended with {second.code}: {second.text[-1500:]}"
            return _difference(self._result(home), undisturbed)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _new_home(self) -> Path:
        self._homes += 1
        home = self._folder / f"home{self._homes}"
        home.mkdir()
        source = {"kind": "files", "uri": f"{self._sales}/sales_{{month}}.csv"}
        (home / "shop.yaml").write_text(yaml.safe_dump(SHOP | {"source": source}, sort_keys=False), encoding="utf-8")
        return home

    def _run(self, home: Path, kind: str, at: int) -> Ended:
        """`mlops-assets run` in a home, with a fault at a change below `var` in it."""
        state = _State(0, at, KINDS[kind], 0, f"{home / 'var'}/".encode())
        (home / "state").write_bytes(bytes(state))
        env = _environment(home) | {
            "LD_PRELOAD": str(self._library),
            "FAULTS": str(home / "state"),
            "FAULTS_TRACE": str(home / "trace"),
        }
        with (home / "log").open("w+b") as log:
            command = [sys.executable, "-c", "from mlops_assets.cli import main; main()", "run"]
            ended = subprocess.run(command, env=env, stdout=log, stderr=log, timeout=SECONDS, check=False)
        after = _State.from_buffer_copy((home / "state").read_bytes())
        return Ended(ended.returncode, (home / "log").read_text("utf-8", "replace"), after.count, after.hit)

    def _result(self, home: Path) -> Result:
        return _in_process(home, _read_result)


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
    return os.environ | unset | chosen


def _in_process(home: Path, read: Callable[[], Result]) -> Result:
    """Call a function in a process of its own, which sees the home's settings; MLflow keeps databases open."""
    import pickle

    code = f"import pickle, sys; from benchmarks.faults import {read.__name__} as read; "
    code += "sys.stdout.buffer.write(pickle.dumps(read()))"
    root = Path(__file__).resolve().parents[1]
    env = _environment(home)
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=root, capture_output=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        return Result({}, {f"unreadable: {done.stderr.decode()[-1500:]}": 1})
    # Our own process has written it, a moment ago.
    return pickle.loads(done.stdout)


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
