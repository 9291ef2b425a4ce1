"""A place where a real daemon retrains: a home, a folder of published months, processes to start and kill."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

MODEL_TYPES = ("Ridge", "XGBoost")


class Site:
    """A home, a folder of months and a daemon of its own."""

    def __init__(self, root: Path, data: Path, **settings: str) -> None:
        self.root, self.data = root, data
        self.months = root / "months"
        self.months.mkdir()
        spec = Path("mlops_assets/dataset/shipped/nyc_green_taxi.yaml").read_text(encoding="utf-8")
        for given, small in (("train_periods: 12", "train_periods: 2"), ("first: 2023-01", "first: 2023-07")):
            spec = spec.replace(given, small)
        (root / "taxi.yaml").write_text(spec, encoding="utf-8")
        self.env = (
            os.environ
            | {
                "MLOPS_HOME": str(root / "home"),
                "DAGSTER_HOME": str(root / "dagster"),
                "MLOPS_DATASET": str(root / "taxi.yaml"),
                "MLOPS_SOURCE_URI": str(self.months / "green_tripdata_{period}.parquet"),
                "MLOPS_MODEL_TYPES": ",".join(MODEL_TYPES),
                "MLOPS_MAX_TRIALS": "3",
                "MLOPS_TUNING_ROWS": "20000",
                "MLOPS_THREADS": "1",
                "MLOPS_WATCH_SECONDS": "10",
            }
            | settings
        )
        (root / "dagster").mkdir()
        shutil.copy("dagster.yaml", root / "dagster")
        self.daemon: subprocess.Popen | None = None
        self.webserver: subprocess.Popen | None = None

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

    def serve(self, port: int) -> None:
        """Start a webserver beside the daemon."""
        command = [
            sys.executable,
            "-m",
            "dagster_webserver",
            "-w",
            "workspace.yaml",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ]
        with (self.root / "webserver.log").open("ab") as log:
            self.webserver = subprocess.Popen(
                command, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def restart(self, **settings: str) -> None:
        """The daemon once more, with other settings; an empty one is as if it were not set."""
        self.env |= settings
        os.killpg(self.daemon.pid, signal.SIGTERM)
        self.daemon.wait(60)
        self.start()

    def cpu_seconds(self) -> float:
        """CPU time that the daemon and all below it have used so far."""
        return cpu_seconds(self.daemon.pid)

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """A command of this site's user, to its end."""
        return subprocess.run([sys.executable, "-m", *command], env=self.env, capture_output=True, text=True)

    def stop(self) -> None:
        for process in (self.daemon, self.webserver):
            if process:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(60)


def cpu_seconds(group: int) -> float:
    """CPU time that a process group has used so far, with what has ended in it."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(int(field) for field in fields[11:15])
        except OSError:
            continue  # it has just ended
    return ticks / os.sysconf("SC_CLK_TCK")


def settled(instance, project) -> bool:
    """Whether nothing is stale."""
    from mlops_assets.assets.plan import Plan

    return not any(task.stale for tasks in Plan(instance, project).explain().values() for task in tasks)
