"""Who is told how a long asset comes along: the run's log by default, bars in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import logging

    from mlops_assets.core.search.trials import Trial


class Progress(Protocol):
    """Listens to an asset at work."""

    def trial(self, log: logging.Logger, model_type: str, trial: Trial, best: float | None, of: int) -> None:
        """A trial of `of` at most has ended; `best` is the lowest loss so far."""

    def step(self, log: logging.Logger, number: int, of: int, text: str) -> None:
        """One of so many equal steps is done; `number` counts from 1."""

    def period(self, log: logging.Logger, period: str, number: int, of: int) -> None:
        """A period of a run that makes so many has ended; `number` counts from 1."""

    def note(self, log: logging.Logger, text: str) -> None:
        """A step worth a line."""


class LogProgress:
    """Writes to the run's log, where the Dagster UI shows it."""

    def trial(self, log: logging.Logger, model_type: str, trial: Trial, best: float | None, of: int) -> None:
        outcome = f"RMSE {trial.loss:.4g}" if trial.loss is not None else f"failed: {trial.error}"
        so_far = f", best so far {best:.4g}" if best is not None else ""
        log.info(f"{model_type} trial {trial.number + 1} of {of}: {outcome} in {trial.seconds:.1f} s{so_far}")

    def step(self, log: logging.Logger, number: int, of: int, text: str) -> None:
        log.info(f"{number} of {of}: {text}")

    def period(self, log: logging.Logger, period: str, number: int, of: int) -> None:
        if of > 1:
            log.info(f"{number} of {of}: {period}")

    def note(self, log: logging.Logger, text: str) -> None:
        log.info(text)
