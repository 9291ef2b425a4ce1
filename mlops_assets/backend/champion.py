"""A champion in memory: the model, where it came from, and the part of an answer that is the same for all rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from mlops_assets.resources.origin import Origin, find_origin

if TYPE_CHECKING:
    from mlops_assets.core.model import Model
    from mlops_assets.resources.registry import Registry, Version


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
        return self.model.spec.target.unit

    @property
    def age_seconds(self) -> float:
        return (datetime.now(UTC) - self.loaded_at).total_seconds()

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
        return orjson.Fragment(orjson.dumps(self.card))


def load_champion(registry: Registry, version: Version) -> Champion:
    """Load a version and let it prove itself.

    Raises TrackingError, or ModelError where it is damaged or does not answer its golden rows as in training.
    """
    model = registry.load(version.number)
    model.self_check()  # its first answers, too: they import what the model needs
    return Champion(registry.model_name, version, model, find_origin(registry.tracking, version), datetime.now(UTC))
