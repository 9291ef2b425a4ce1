"""Kill -9 at random points of retrainings under a real daemon, and say whether anything was lost or done twice.

    python -m benchmarks.chaos --data FOLDER [--kills 20] [--seed 1]

FOLDER holds monthly green-taxi files. A worker of a run, the daemon, or both with the code server are killed in
turn; the daemon is started again. In the end a look at the event log, MLflow and the registry tells what came of it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

MODEL_TYPES = ("Ridge", "XGBoost")
KINDS = ("worker", "daemon", "everything")


class Site:
    """A home, a folder of months and a daemon of its own."""

    def __init__(self, root: Path, data: Path) -> None:
        self.root, self.data = root, data
        self.months = root / "months"
        self.months.mkdir()
        spec = Path("mlops_assets/datasets/nyc_green_taxi.yaml").read_text(encoding="utf-8")
        for given, small in (("train_months: 12", "train_months: 2"), ("first_month: 2023-01", "first_month: 2023-07")):
            spec = spec.replace(given, small)
        (root / "taxi.yaml").write_text(spec, encoding="utf-8")
        self.env = os.environ | {
            "MLOPS_HOME": str(root / "home"),
            "DAGSTER_HOME": str(root / "dagster"),
            "MLOPS_DATASET": str(root / "taxi.yaml"),
            "MLOPS_SOURCE_URI": str(self.months / "green_tripdata_{month}.parquet"),
            "MLOPS_MODEL_TYPES": ",".join(MODEL_TYPES),
            "MLOPS_MAX_TRIALS": "3",
            "MLOPS_TUNING_ROWS": "20000",
            "MLOPS_THREADS": "1",
            "MLOPS_WATCH_SECONDS": "10",
        }
        (root / "dagster").mkdir()
        shutil.copy("dagster.yaml", root / "dagster")
        self.daemon: subprocess.Popen | None = None

    def publish(self, month: str, rows_less: int = 0) -> None:
        """Put a month's file in place, or a changed one."""
        import pyarrow.parquet as pq

        table = pq.read_table(self.data / f"green_tripdata_{month}.parquet")
        temporary = self.months / ".temporary"
        pq.write_table(table.slice(0, table.num_rows - rows_less), temporary)
        temporary.replace(self.months / f"green_tripdata_{month}.parquet")

    def start(self) -> None:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
        with (self.root / "daemon.log").open("ab") as log:
            self.daemon = subprocess.Popen(
                command, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self, kind: str, chance: random.Random) -> str:
        """Kill -9, and start the daemon again where it was hit."""
        if kind == "worker":
            workers = self.workers()
            if not workers:
                return "no worker was there"
            os.kill(chance.choice(workers), signal.SIGKILL)
            return "worker"
        if kind == "daemon":
            self.daemon.kill()
        else:
            os.killpg(self.daemon.pid, signal.SIGKILL)
            for worker in self.workers():
                os.kill(worker, signal.SIGKILL)
        self.daemon.wait()
        self.start()
        return kind

    def workers(self) -> list[int]:
        """Processes of runs: they hold this site's home in their environment and were spawned by a server."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                own = f"DAGSTER_HOME={self.env['DAGSTER_HOME']}".encode() in (process / "environ").read_bytes()
                if own and b"spawn_main" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue  # it has just ended
        return found

    def stop(self) -> None:
        os.killpg(self.daemon.pid, signal.SIGTERM)
        self.daemon.wait(60)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _run(Site(Path(folder), options.data.resolve()), options.kills, random.Random(options.seed))


def _run(site: Site, kills: int, chance: random.Random) -> int:
    os.environ.update(site.env)
    import dagster as dg

    from mlops_assets.automation.guards import active_retraining
    from mlops_assets.project import open_project

    available = sorted(path.stem[-7:] for path in site.data.glob("green_tripdata_*.parquet"))
    months, later = available[:4], available[4:]
    for month in months:
        site.publish(month)
    project = open_project()
    project.tracking.check()
    killed, bad_champion, less = Counter(), 0, 0
    try:
        with dg.DagsterInstance.get() as instance:
            instance.get_runs(limit=1)  # makes the databases: two processes at once would spoil them
            site.start()
            while sum(killed.values()) < kills:
                time.sleep(chance.uniform(3, 15))
                bad_champion += not _champion_answers(project)
                if site.daemon.poll() is not None:
                    raise SystemExit(f"the daemon ended by itself: see {site.root / 'daemon.log'}")
                if active_retraining(instance):
                    hit = site.kill(KINDS[sum(killed.values()) % 3], chance)
                    if hit in KINDS:
                        killed[hit] += 1
                        print(f"{sum(killed.values())}: {hit}", flush=True)
                elif _settled(instance, project):
                    if later:
                        months.append(later.pop(0))
                        site.publish(months[-1])
                    else:
                        less += 100
                        site.publish(months[-1], less)
            deadline = time.monotonic() + 900
            while time.monotonic() < deadline and (active_retraining(instance) or not _settled(instance, project)):
                time.sleep(5)
            time.sleep(20)  # the sensor that tidies MLflow
            return _report(instance, project, months, killed, bad_champion)
    finally:
        site.stop()


def _settled(instance, project) -> bool:
    from mlops_assets.assets.plan import Plan

    return not any(task.stale for tasks in Plan(instance, project).explain().values() for task in tasks)


def _champion_answers(project) -> bool:
    """Whether the alias names a version that loads; there may be none at first."""
    champion = project.registry.champion()
    return champion is None or project.registry.load(champion.number) is not None


def _report(instance, project, months, killed, bad_champion) -> int:
    from mlops_assets.assets.records import newest
    from mlops_assets.core.splitting import SPLITS

    built = newest(instance, "training_set")
    window = {month for split in SPLITS for month in built.value(f"{split}_months").split(", ")}
    wanted = set(months[-4:])
    runs = project.tracking.client.search_runs([project.tracking.experiment_id], max_results=5000)
    running = [run.info.run_name for run in runs if run.info.status == "RUNNING"]
    fits = Counter(
        (run.data.tags["model_type"], run.data.tags["training_set"])
        for run in runs
        if run.info.status == "FINISHED" and run.info.run_name.startswith("fit ")
    )
    twice = {key: count for key, count in fits.items() if count > 1}
    training_sets = len({content for _, content in fits})
    print(f"killed: {dict(killed)}; training sets: {training_sets}; fits: {sum(fits.values())}")
    print(f"window {sorted(window)}, wanted {sorted(wanted)}; fitted twice: {twice}; left RUNNING: {running}")
    print(f"champion version {project.registry.champion().number}; looks at which it did not answer: {bad_champion}")
    return int(bool(twice or running or bad_champion or window != wanted))


if __name__ == "__main__":
    sys.exit(main())
