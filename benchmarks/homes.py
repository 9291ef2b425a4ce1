"""A home folder in which `mlops-assets run` is measured, and what Dagster recorded there."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Ran, call, run, timed


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

    def run_counting(self) -> Ran:
        """The same, with the CPU seconds that its learners fit and predict for as its value."""
        return call(run_counting_learners, self.env)

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


def run_counting_learners() -> float:
    """Do what `mlops-assets run` does in this process; CPU seconds in the learners' own fits and predictions."""
    from mlops_assets.cli import importing

    with importing():
        from mlops_assets.cli.run import run_pipeline
        from mlops_assets.core.learners import estimators
        from mlops_assets.core.learners.libraries.xgboost import XGBoost

    spent: list[float] = []

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            with timed() as used:
                result = work(*arguments)
            spent.append(used["cpu"])
            return result

        return counting

    estimators._fit_sklearn = counted(estimators._fit_sklearn)
    for name in ("fit", "predict", "contributions"):
        setattr(XGBoost, name, counted(getattr(XGBoost, name)))
    if code := run_pipeline():
        sys.exit(code)
    return sum(spent)
