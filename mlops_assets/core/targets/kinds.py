"""The kind of a dataset's target."""

from __future__ import annotations

from functools import lru_cache

from mlops_assets.core.targets.classes import Classes
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.targets.numbers import Count, Number
from mlops_assets.dataset.target import Target, TargetKindName

KINDS: dict[TargetKindName, type[Number] | type[Classes]] = {
    "number": Number,
    "count": Count,
    "binary": Classes,
    "category": Classes,
}


@lru_cache(maxsize=32)
def target_of(target: Target) -> TargetKind:
    """The same for equal targets."""
    return KINDS[target.kind or "number"].of(target)
