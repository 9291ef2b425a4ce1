"""What the columns of a training set mean, in words."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_assets.core.features.encoder import Encoder
from mlops_assets.core.features.target_encoding import GroupMeansEncoder
from mlops_assets.core.prepare.cleaning import TARGET
from mlops_assets.dataset import DatasetSpec


def dense_meanings(spec: DatasetSpec, encoder: Encoder) -> Mapping[str, str]:
    """Of the columns of the dense matrix and the target, by name; hidden names as `${NAME}`."""
    features = spec.features
    meanings = {alias: _of_column(spec, alias) for alias in spec.columns}
    meanings |= {
        name: f"{derived.function.replace('_', ' ')}: {', '.join(derived.of)}"
        for name, derived in features.derived.items()
    }
    meanings |= {
        f"{alias}_{part}": f"{part.replace('_', ' ')} of {alias}"
        for alias, calendar in features.calendar.items()
        for part in calendar.parts
    }
    if encoder.group_means:
        meanings |= _of_means(encoder.group_means)
    unit = f", in {spec.target.unit}" if spec.target.unit else ""
    meanings[TARGET] = f"what is predicted{unit}"
    return {name: spec.redact(meanings.get(name, "")) for name in (*encoder.dense_names, TARGET)}


def _of_column(spec: DatasetSpec, alias: str) -> str:
    column = spec.columns[alias]
    return ", in ".join(filter(None, (column.description or alias, column.measured_in)))


def _of_means(encoder: GroupMeansEncoder) -> dict[str, str]:
    number, meanings = encoder.relative_to, []
    for key in encoder.keys:
        group = " and ".join(token.name for token in key.tokens)
        rates = [f"share of {name} among train rows with the same {group}" for name in encoder.classes]
        meanings += rates or [f"mean target of train rows with the same {group}"]
        if number:
            meanings.append(f"the same of the log target beyond what {number} explains")
        meanings.append(f"how many train rows have the same {group}")
    if encoder.scale:
        group = " and ".join(token.name for token in encoder.scale.tokens)
        meanings += [f"mean log of {number} of the same {group}", f"how far the log of {number} is above that"]
    return dict(zip(encoder.names, meanings, strict=True))
