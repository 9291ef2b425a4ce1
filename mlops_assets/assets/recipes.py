"""What recipes have in common. The recipe of an asset stands beside its function: all that its content depends on.

Equal recipes need no second making. They are computed from the newest records of what is upstream, never from data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_assets.core.fingerprint import Recipe, installed
from mlops_assets.database_urls import without_credentials
from mlops_assets.dataset import DatasetSpec
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.learners.model_types import ModelType

_LEARNT_AS = {"kind", "metric", "quantile", "transform", "costs", "precision", "recall", "balanced"}
# They fit, encode and draw; a fix in the last part of a version changes no result that is meant.
LIBRARIES = ("numpy", "scipy", "scikit-learn", "xgboost", "hyperopt")


def libraries(*names: str) -> dict[str, str]:
    """Installed versions of libraries, as `major.minor`, by name."""
    return {name: ".".join(installed(name)[1].split(".")[:2]) for name in names}


def learners(*kinds: ModelType) -> dict[str, str]:
    """Versions of the libraries that fit these model types, and digests of the code of classes of the user's own."""
    own = {kind.import_path: kind.code for kind in kinds if kind.code}
    return libraries(*LIBRARIES, *(package for kind in kinds for package in kind.packages)) | own


def same_settings(one: Recipe, other: Recipe) -> bool:
    return one.parts["settings"] == other.parts["settings"]


def learnt_as(spec: DatasetSpec) -> dict[str, Any]:
    """What the YAML says of how the target is learnt, answered and judged, as far as it is not the usual."""
    how = spec.target.model_dump(mode="json", exclude_defaults=True, include=_LEARNT_AS)
    return ({"target": how} if how else {}) | ({"monotone": dict(spec.monotone)} if spec.monotone else {})


def thinning(project: Project, rows: int) -> dict[str, int]:
    """What decides on the rows that are in memory, where a window has more than these."""
    most = project.settings.memory_rows
    return {"memory_rows": most} if rows > most else {}


def tracking_place(project: Project) -> str:
    """Which MLflow it is, as a digest: models live there, and on another server they are not yet."""
    return digest(project.settings.tracking_place)


def written_now(project: Project, recipe: Recipe) -> Recipe:
    """A recorded recipe with the place of MLflow as it is written now; release 0.1 wrote an absolute one."""
    settings = recipe.parts.get("settings", {})
    uri = project.settings.tracking
    if settings.get("tracking") not in (digest(without_credentials(uri)), Recipe({"uri": uri}).digest):
        return recipe
    return Recipe({**recipe.parts, "settings": settings | {"tracking": tracking_place(project)}})


def is_tracked_here(project: Project, recipe: Recipe) -> bool:
    """Whether the models that a recorded recipe speaks of are in the MLflow of now."""
    return written_now(project, recipe).parts["settings"].get("tracking") == tracking_place(project)


def public(spec: DatasetSpec, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without what came from the environment; a digest tells when that has changed."""
    redacted = _redacted(spec, settings)
    return redacted if redacted == settings else redacted | {"values from the environment": digest(settings)}


def digest(value: Any) -> str:
    """SHA-256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _redacted(spec: DatasetSpec, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _redacted(spec, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redacted(spec, item) for item in value]
    return spec.redact(value) if isinstance(value, str) else value
