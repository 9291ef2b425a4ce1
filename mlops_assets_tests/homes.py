"""A home folder of its own for a project, and the commands that a user gives there."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import numpy as np
import yaml

from mlops_assets.assets.records import Record, Records
from mlops_assets.cli import main
from mlops_assets.dataset.spec import SHIPPED
from mlops_assets.instance import open_instance
from mlops_assets.project import Project, open_project
from mlops_assets.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
# Set to nothing, a variable is not set, whatever the tests' own environment or the checkout's .env says.
UNSET = {f"{PREFIX}{name.upper()}": "" for name in Settings.model_fields} | {"DAGSTER_HOME": ""}
SHOP = {
    "name": "shop",
    "columns": {
        "at": {"type": "time"},
        "zone": {"type": "integer"},
        "size": {"description": "Length of the longest side", "unit": "cm"},
        "price": {},
    },
    "time": {"column": "at", "first": "2024-01", "last": "2024-12"},
    "target": {"column": "price", "keep": [1, 1000], "unit": "euros"},
    "features": {"categorical": ["zone"], "numeric": {"size": {}}},
}
# A search space of XGBoost for tests that are not about its fits: enough trees to beat the mean of a route.
FEW_TREES = {
    "n_estimators": {"fixed": 40},
    "early_stopping_rounds": {"fixed": 10},
    "learning_rate": {"uniform": [0.1, 0.3]},
}
MAIN = "from mlops_assets.cli import main; main()"


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Home:
    """A home folder and the settings that go with it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.env = UNSET | {"MLOPS_HOME": str(folder), "COLUMNS": "500"} | settings

    def command(self, *words: str, **settings: str) -> Answer:
        """`mlops-assets` with these words, in this process."""
        out, err = StringIO(), StringIO()
        argv = patch.object(sys, "argv", ["mlops-assets", *words])
        with patch.dict(os.environ, self.env | settings), argv, redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                return Answer(end.code or 0, out.getvalue(), err.getvalue())
        return Answer(0, out.getvalue(), err.getvalue())

    def process(
        self, *words: str, script: str = MAIN, python: str | None = None, **settings: str
    ) -> subprocess.CompletedProcess:
        """The same in a process of its own: what it runs is `script`, and who, `sys.executable` or another `python`."""
        command, env = [python or sys.executable, "-c", script, *words], os.environ | self.env | settings
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)

    def project(self, **settings: str) -> Project:
        return open_project(self.env | settings)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with ExitStack() as stack:
            with patch.dict(os.environ, self.env):  # no longer: a fixture may hold the instance for a whole session
                instance = stack.enter_context(open_instance(self.project()))
            yield instance

    def record(self, asset: str, partition: str | None = None) -> Record | None:
        with self.instance() as instance:
            return Records(instance).latest(asset, partition)

    def records(self, asset: str) -> dict[str, Record]:
        with self.instance() as instance:
            return Records(instance).all_latest(asset)

    def run_ids(self) -> set[str]:
        """Of all Dagster runs there ever were."""
        with self.instance() as instance:
            return {run.run_id for run in instance.get_runs()}


def write_yaml(path: Path, document: dict) -> str:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return str(path)


def write_few_trees(folder: Path, **others: dict) -> str:
    """A file of search spaces: XGBoost's with few trees, and those of other model types."""
    return write_yaml(folder / "spaces.yaml", {"XGBoost": {"parameters": FEW_TREES}} | others)


def write_period(folder: Path, period: str, rows: int = 300) -> Path:
    """A period of the shop's sales as CSV; a pure function of the period."""
    rng = np.random.default_rng(int(period.replace("-", "")))
    at = np.datetime64(period) + rng.integers(0, 28 * 1440, rows).astype("timedelta64[m]")
    zone, size = rng.integers(1, 6, rows), rng.gamma(2, 15, rows).round(3)
    price = (5 + size * (1 + zone / 5) * rng.lognormal(0, 0.1, rows)).round(3)
    lines = (",".join(map(str, line)) for line in zip(at, zone, size, price, strict=True))
    path = folder / f"sales_{period}.csv"
    path.write_text("\n".join(["at,zone,size,price", *lines, ""]))
    return path


def copy_dataset(home: Home, name: str, **changes) -> None:
    """Let the home use a shipped dataset's YAML with other values for some of its top keys."""
    document = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"))
    home.env["MLOPS_DATASET"] = write_yaml(home.folder / f"{name}.yaml", document | changes)


def copy_home(home: Home, folder: Path) -> Home:
    """A copy of a home in a new folder; what MLflow keeps in it by its whole path leads to the copy too.

    The home may be in use: its databases are copied as they stand. The source stays where it is, so nothing is stale.
    """
    shutil.copytree(home.folder, folder, ignore=shutil.ignore_patterns("*.db", "*.db-*"))
    for database in home.folder.rglob("*.db"):
        copy = folder / database.relative_to(home.folder)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    old, new = str(home.folder), str(folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        for table, column in _text_columns(connection):
            connection.execute(f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)', (old, new))
    for path in folder.rglob("MLmodel"):
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return Home(folder, **{name: value.replace(old, new) for name, value in home.env.items()})


def _text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Table and name of each column that may hold a path."""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            if kind.upper().startswith(("VARCHAR", "TEXT")):
                yield table, column
