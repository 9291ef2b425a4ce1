"""What the gate asks of rows beside their errors: which move together, and in which parts of them nobody may lose."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mlops_assets.core.columns import Columns, label
from mlops_assets.core.metrics import Clusters
from mlops_assets.core.types import Array, BoolArray, IntArray, TimeArray
from mlops_assets.dataset import DatasetSpec
from mlops_assets.dataset.parts import Range

MOST_VALUES = 8  # of a category, as slices; the others count together


def clusterings(spec: DatasetSpec, columns: Columns, times: TimeArray | None) -> tuple[Clusters, ...]:
    """Each way in which rows (n,) move together: by calendar day, and by the groups that the YAML names.

    Rows that are all of one day go by its hours. A snapshot has its key for days. Rows of one hour, and those of a
    snapshot without a key, are taken one by one where no group is named: nothing else is known of them.
    """
    found = []
    if times is not None:
        days = Clusters("days", _ids(times.astype("datetime64[D]")))
        found.append(days if len(days) > 1 else Clusters("hours", _ids(times.astype("datetime64[h]"))))
    elif spec.key:
        found.append(Clusters("keys", _ids(*(columns[name] for name in spec.key))))
    found += [
        Clusters(f"groups of {' and '.join(names)}", _ids(*(columns[name] for name in names)))
        for names in dict.fromkeys((*spec.gate.groups, *([spec.split.groups] if spec.split.groups else [])))
    ]
    several = tuple(clusters for clusters in found if len(clusters) > 1)
    count = len(next(iter(columns.values())))
    return several or (Clusters.of_rows(count),)


def slices(spec: DatasetSpec, columns: Columns) -> dict[str, BoolArray]:
    """The parts of rows (n,) that the YAML names: the most frequent values of a category, or ranges of a number."""
    parts: dict[str, BoolArray] = {}
    for entry in spec.gate.slices:
        if isinstance(entry, Range):
            parts |= _ranges(entry, columns[entry.column])
        else:
            parts |= _values(entry, columns[entry])
    return parts


def _ranges(entry: Range, values: Array) -> dict[str, BoolArray]:
    numbers = np.asarray(values, np.float64)
    edges = [-np.inf, *entry.edges, np.inf]
    names = [f"{entry.column} below {entry.edges[0]:g}"]
    names += [f"{entry.column} {low:g} to {high:g}" for low, high in pairwise(entry.edges)]
    names.append(f"{entry.column} from {entry.edges[-1]:g}")
    return {name: (numbers >= low) & (numbers < high) for name, (low, high) in zip(names, pairwise(edges), strict=True)}


def _values(alias: str, values: Array) -> dict[str, BoolArray]:
    import pandas as pd

    codes, uniques = pd.factorize(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
    common = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    parts = {f"{alias} {label(uniques[code])}": codes == code for code in common}
    others = ~np.isin(codes, common)
    return parts | ({f"{alias}: any other": others} if others.any() else {})


def _ids(*columns: Array) -> IntArray:
    """A number for each row (n,), the same for rows that are equal in all columns; missing values are equal."""
    import pandas as pd

    ids: IntArray = np.zeros(len(columns[0]), np.int64)
    for values in columns:
        codes, levels = pd.factorize(values, use_na_sentinel=False)
        ids = pd.factorize(ids * len(levels) + codes)[0]
    return ids
