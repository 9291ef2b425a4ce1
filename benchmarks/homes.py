"""A home folder in which `mlops-assets run` is measured, and what Dagster recorded there."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Ran, call, run


@dataclass(frozen=True)
class Home:
    """Settings, with a home folder of their own."""

    env: dict[str, str]

    @classmethod
    @contextmanager
    def fresh(cls, **settings: str) -> Iterator[Home]:
        """An empty home, gone afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            yield cls({"MLOPS_HOME": folder} | settings)

    def run(self, codes: Sequence[int] = (0,)) -> Ran:
        """The command `mlops-assets run`, which may end with these codes."""
        return run([Path(sys.executable).with_name("mlops-assets"), "run"], self.env, codes=codes)

    def recorded(self) -> dict[str, Any]:
        """How many Dagster runs there were, and the newest leaderboard."""
        return call(read_records, self.env).value


def read_records() -> dict[str, Any]:
    from mlops_assets.assets.records import Records
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    with open_instance(open_project()) as instance:
        champion = Records(instance).latest("champion_model")
        names = ("champion_type", "leaderboard_rows", "judged_on")
        return {name: champion.value(name) for name in names} | {"runs": len(instance.get_runs())}
