"""Divided fits in which a process is killed; importable by name on a worker."""

import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import xgboost

from mlops_assets.resources.dask.divided_fit import DividedFit


@dataclass(frozen=True)
class KilledFit(DividedFit):
    """A fit whose last share kills a process: its worker, itself, or a victim by number.

    Once where there is a `mark` to remember it.
    """

    at: str = "the start"
    mark: Path | None = None
    victim: int | Literal["worker", "itself"] = "worker"

    def grow(self, number, shares, link, threads):
        if number < shares - 1 or (self.mark and self.mark.exists()):
            return super().grow(number, shares, link, threads)
        if self.at == "the start":
            self.kill()
        with patch("xgboost.train", partial(xgboost.train, callbacks=[KillAtRound5(self)])):
            return super().grow(number, shares, link, threads)

    def kill(self) -> None:
        if self.mark:
            self.mark.touch()
        numbers = {"worker": os.getppid(), "itself": os.getpid()}
        os.kill(numbers.get(self.victim, self.victim), signal.SIGKILL)


class KillAtRound5(xgboost.callback.TrainingCallback):
    def __init__(self, fit: KilledFit) -> None:
        self.fit = fit

    def after_iteration(self, model, epoch, evals_log) -> bool:
        if epoch == 5:
            self.fit.kill()
        return False
