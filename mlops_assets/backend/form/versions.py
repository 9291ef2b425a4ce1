"""Versions of the model that the form compares the champion with: loaded when asked for, a few kept in memory."""

from __future__ import annotations

import logging
from collections import OrderedDict
from threading import Lock
from time import monotonic

from mlops_assets.backend.champion import Champion, load_champion
from mlops_assets.backend.predictor import Predictor
from mlops_assets.errors import MlopsError, TrackingError
from mlops_assets.resources.registry import Registry, Version

log = logging.getLogger(__name__)
OFFERED = 20
KEPT = 3  # in memory, beside the champion
LISTED_SECONDS = 20  # for which the list of versions holds


class Versions:
    """Thread-safe. The champion is always the predictor's own."""

    def __init__(self, registry: Registry, predictor: Predictor) -> None:
        self._registry = registry
        self._predictor = predictor
        self._lock = Lock()  # one is loaded at a time
        self._loaded: OrderedDict[int, Champion] = OrderedDict()
        self._listed: tuple[Version, ...] = ()
        self._list_again = 0.0

    def recent(self) -> tuple[Version, ...]:
        """The versions registered last, newest first; those known so far while the registry does not answer."""
        if monotonic() >= self._list_again:
            self._list_again = monotonic() + LISTED_SECONDS
            try:
                self._listed = self._registry.newest(OFFERED)
            except TrackingError as error:
                log.warning("the versions cannot be listed: %s", error)
        return self._listed

    def load(self, number: int) -> Champion:
        """A version, checked as a champion is; raises MlopsError with a message for the form's reader."""
        champion = self._predictor.loaded
        if champion and champion.number == number:
            return champion
        with self._lock:
            if number not in self._loaded:
                self._loaded[number] = self._fetch(number)
            self._loaded.move_to_end(number)
            if len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
            return self._loaded[number]

    def _fetch(self, number: int) -> Champion:
        try:
            return load_champion(self._registry, self._registry.version(number))
        except TrackingError as error:
            log.warning("version %d cannot be had: %s", number, error)
            raise MlopsError(f"version {number} does not exist, or the model registry does not answer") from None
        except MlopsError as error:
            log.warning("version %d cannot be used: %s", number, error)
            raise MlopsError(f"version {number} cannot be used: it failed its check at loading") from None
