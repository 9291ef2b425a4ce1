"""The champion in memory, and the predictor, which swaps it when the registry's alias moves.

A thread of its own asks the registry, loads and checks: first in a process of its own, so that a file made to end the
process that reads it ends that one. Answers go on from the model at hand meanwhile, and whatever goes wrong there
leaves it at hand.
"""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson

from mlops_assets.errors import MlopsError, ModelError, TrackingError
from mlops_assets.resources.mlflow.models import Origin, find_origin
from mlops_assets.resources.mlflow.rehearsal import Rehearsals
from mlops_assets.serving.errors import ApiError

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model
    from mlops_assets.resources.mlflow.registry import Registry
    from mlops_assets.resources.mlflow.version import Version
    from mlops_assets.serving.metrics import Metrics


log = logging.getLogger(__name__)
JITTER = 0.2  # of the pause, so that servers that start together do not ask together
REFUSED_SECONDS = 300  # before a version that failed is tried again, unless the alias moves or a hint comes
STARTING = "the server is still loading the champion: try again in a moment"


@dataclass(frozen=True, eq=False)
class Champion:
    """One version, loaded. Requests that it has begun to answer keep it, whoever is champion by then."""

    name: str
    version: Version
    model: Model
    origin: Origin
    loaded_at: datetime

    @property
    def number(self) -> int:
        return self.version.number

    @property
    def unit(self) -> str:
        return self.model.kind.unit

    @property
    def age_seconds(self) -> float:
        return (datetime.now(UTC) - self.loaded_at).total_seconds()

    @property
    def golden_rows(self) -> Sequence[Mapping[str, Any]]:
        """Rows that the model is checked by: real ones, of the newest training data."""
        return self.model.golden.rows if self.model.golden else ()

    @cached_property
    def card(self) -> dict[str, Any]:
        """What every answer says of the model."""
        return {
            "name": self.name,
            "version": self.number,
            "type": self.version.model_type,
            "training_set": self.version.tags.get("training_set"),
            "mlflow_run": self.origin.mlflow_run,
            "dagster_run": self.origin.dagster_run,
        }

    @cached_property
    def card_json(self) -> orjson.Fragment:
        """The card as it stands in a body."""
        return orjson.Fragment(orjson.dumps(self.card))


def load_champion(registry: Registry, version: Version) -> Champion:
    """Load a version and let it prove itself.

    Raises TrackingError, or ModelError where it is damaged or does not answer its golden rows as in training.
    """
    model = registry.load(version.number)
    model.self_check()  # its first answers, too: they import what the model needs
    return Champion(registry.model_name, version, model, find_origin(registry.tracking, version), datetime.now(UTC))


@dataclass(frozen=True)
class RegistryCheck:
    """One look at the registry. `problem` is for callers: it says what, and nothing from inside."""

    at: datetime
    problem: str | None = None


class Predictor:
    """Where `champion` is the model to answer with. `start` before use, `stop` at the end."""

    def __init__(self, registry: Registry, poll_seconds: float, metrics: Metrics, redact: Callable[[str], str]) -> None:
        self._registry = registry
        self._rehearsals = registry.rehearse = Rehearsals(registry.verify_keys)  # whoever loads a model here
        self._redact = redact  # for the log
        self._poll_seconds = poll_seconds
        self._metrics = metrics
        self._champion: Champion | None = None
        self._refused: tuple[int, float] | None = None  # version, and when it may be tried again
        self._hinted, self._stopping = Event(), Event()
        self.last_check: RegistryCheck | None = None

    @property
    def loaded(self) -> Champion | None:
        return self._champion

    @property
    def champion(self) -> Champion:
        """The model to answer with; raises ApiError where there is none yet."""
        if self._champion is None:
            raise ApiError(503, "not_ready", self.problem, headers=((b"retry-after", b"5"),))
        return self._champion

    @property
    def problem(self) -> str:
        """Why there is no champion, where there is none."""
        return (self.last_check and self.last_check.problem) or STARTING

    def start(self) -> None:
        Thread(target=self._watch, name="champion", daemon=True).start()

    def stop(self) -> None:
        """No look follows; one that is under way is not waited for."""
        self._stopping.set()
        self._hinted.set()
        self._rehearsals.stop()

    def hint(self) -> None:
        """Look now: someone says that the alias has moved."""
        self._refused = None
        self._hinted.set()

    def check_registry(self) -> None:
        """Ask the registry who is champion, and swap to it if it is another one that proves itself."""
        try:
            problem, outcome = self._check()
        except TrackingError as error:
            log.warning("the registry cannot be asked: %s", self._redact(str(error)))
            problem, outcome = "the model registry does not answer", "unreachable"
        except MlopsError as error:
            log.error("the champion cannot be used: %s", self._redact(str(error)))
            problem, outcome = "the champion cannot be used", "failed"
        except Exception:
            log.error("looking at the registry failed:\n%s", self._redact(traceback.format_exc()))
            problem, outcome = "the champion could not be loaded", "failed"
        self._metrics.reloads.labels(outcome).inc()
        self.last_check = RegistryCheck(datetime.now(UTC), problem)

    def _check(self) -> tuple[str | None, str]:
        version = self._registry.champion()
        if version is None:
            return "there is no champion: run the pipeline (mlops-assets run)", "no champion"
        if self._champion and self._champion.number == version.number:
            return None, "unchanged"
        if self._refused and self._refused[0] == version.number and monotonic() < self._refused[1]:
            return _refusal(version.number), "refused"
        if self._champion is None:  # so that nobody is told meanwhile that there is none
            self.last_check = RegistryCheck(datetime.now(UTC), STARTING)
        try:
            champion = load_champion(self._registry, version)
        except ModelError as error:
            self._refused = (version.number, monotonic() + REFUSED_SECONDS)
            log.error("version %d is refused: %s", version.number, self._redact(str(error)))
            return _refusal(version.number), "refused"
        self._champion = champion
        self._rehearsals.gives_way = True
        self._metrics.model_version.set(champion.number)
        log.info("answering with version %d (%s)", champion.number, version.model_type)
        return None, "swapped"

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self.check_registry()
            self._hinted.wait(self._poll_seconds * random.uniform(1 - JITTER, 1 + JITTER))
            self._hinted.clear()


def _refusal(number: int) -> str:
    return f"version {number} is champion, but failed its check at loading"
