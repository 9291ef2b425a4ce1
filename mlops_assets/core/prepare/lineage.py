"""Lineage: which columns each column is made from, by alias."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_assets.core.features.encoder import Encoder
from mlops_assets.core.features.target_encoding import GroupMeansEncoder
from mlops_assets.core.prepare.cleaning import TARGET, kept_columns
from mlops_assets.dataset import DatasetSpec, Features

Lineage = Mapping[str, tuple[str, ...]]


def clean_lineage(spec: DatasetSpec) -> Lineage:
    """Columns of clean data, from those of raw data."""
    return {alias: (alias,) for alias in kept_columns(spec)} | {TARGET: spec.target.columns}


def dense_lineage(spec: DatasetSpec, encoder: Encoder) -> Lineage:
    """Columns of the dense matrix, and the target, from those of clean data."""
    origins = _origins(spec.features) | {TARGET: (TARGET,)}
    made_of: dict[str, tuple[str, ...]] = {name: (name,) for name in (*encoder.categorical, *encoder.numbers)}
    made_of |= _means(encoder.group_means) if encoder.group_means else {}
    made_of[TARGET] = (TARGET,)
    return {
        name: tuple(dict.fromkeys(alias for feature in features for alias in origins[feature]))
        for name, features in made_of.items()
    }


def _origins(features: Features) -> dict[str, tuple[str, ...]]:
    """The aliases behind each feature."""
    origins: dict[str, tuple[str, ...]] = {name: (name,) for name in (*features.categories, *features.numbers)}
    origins |= {name: derived.of for name, derived in features.derived.items()}
    calendar = features.calendar.items()
    return origins | {f"{alias}_{part}": (alias,) for alias, parts in calendar for part in parts.parts}


def _means(encoder: GroupMeansEncoder) -> dict[str, tuple[str, ...]]:
    """The features that group means are made from; the target too, where they are means of it."""
    sources: list[tuple[str, ...]] = []
    for key in encoder.keys:
        names = tuple(token.name for token in key.tokens)
        sources += [(*names, TARGET)] * max(1, len(encoder.classes))
        if encoder.relative_to:
            sources.append((*names, encoder.relative_to, TARGET))
        sources.append(names)
    if encoder.scale and encoder.relative_to:
        sources += [(encoder.relative_to, *(token.name for token in encoder.scale.tokens))] * 2
    return dict(zip(encoder.names, sources, strict=True))
