"""XGBoost's trees as arrays, for one or a few rows: they go down all trees at once, a level at a time.

A call into XGBoost costs more than a row. The predictions here are the same bit for bit: the same comparisons of
float32, the same order of additions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_assets.core.types import BoolArray, IntArray, SingleArray

if TYPE_CHECKING:
    from xgboost import Booster

Number = TypeVar("Number", np.int64, np.float32)
LARGEST = np.finfo(np.float32).max
MOST_BYTES = 100_000_000  # of categories by nodes; beyond that XGBoost answers every row
# Objectives whose raw output is the sum over the trees as it is.
_PLAIN = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "binary:logistic")


@dataclass(frozen=True, eq=False)
class TreeArrays:
    """All nodes of all trees in one numbering; a right child comes after its left one, and a leaf is its own child.

    A row is widened to what the nodes compare with their thresholds: its numbers with low values for missing ones,
    its numbers with high values for missing ones, then for each split by category 1 where the row goes right.
    """

    roots: IntArray  # (trees,) int64
    depth: int
    compared: IntArray  # (nodes,) int64, place in the widened row
    thresholds: SingleArray  # (nodes,) float32
    left: IntArray  # (nodes,) int64
    leaves: SingleArray  # (nodes,) float32
    base: np.float32
    categorical: IntArray  # (k,) int64, columns of which there are splits by category
    goes_right: tuple[SingleArray, ...]  # for each of them (categories + 1, splits) float32, missing last

    def predict(self, X: SingleArray) -> SingleArray:
        """Predictions (n,) float32 of rows (n, width) float32 with NaN where missing."""
        missing = np.isnan(X)
        codes = np.where(missing, -1, X).take(self.categorical, axis=1).astype(np.int64)
        splits = [table.take(code, axis=0, mode="wrap") for table, code in zip(self.goes_right, codes.T, strict=True)]
        rows = np.concatenate([np.where(missing, -LARGEST, X), np.where(missing, LARGEST, X), *splits], axis=1)
        start = np.arange(len(X))[:, None] * rows.shape[1]
        values = rows.reshape(-1)
        node: IntArray = np.broadcast_to(self.roots, (len(X), len(self.roots)))
        for _ in range(self.depth):
            place = self.compared.take(node)
            place += start
            goes_right = values.take(place) >= self.thresholds.take(node)
            node = self.left.take(node)
            node += goes_right
        terms = np.empty((len(X), len(self.roots) + 1), np.float32)
        terms[:, 0], terms[:, 1:] = self.base, self.leaves.take(node)
        return np.add.accumulate(terms, axis=1)[:, -1]

    def predict_row(self, row: list[float]) -> float:
        """Of one row with its numbers as they are before they are rounded to float32."""
        is_missing = [value != value for value in row]
        ends = [
            [end if missing else value for value, missing in zip(row, is_missing, strict=True)]
            for end in (-LARGEST, LARGEST)
        ]
        codes = [-1 if is_missing[place] else int(row[place]) for place in self._categorical]
        splits = [table[code] for table, code in zip(self.goes_right, codes, strict=True)]
        values = np.concatenate([np.array(ends, np.float32).reshape(-1), *splits])
        node = self.roots
        for _ in range(self.depth):
            node = self.left.take(node) + (values.take(self.compared.take(node)) >= self.thresholds.take(node))
        return float(np.add.accumulate(np.concatenate([self._base, self.leaves.take(node)]))[-1])

    @cached_property
    def _categorical(self) -> list[int]:
        columns: list[int] = self.categorical.tolist()
        return columns

    @cached_property
    def _base(self) -> SingleArray:
        return np.array([self.base])


def tree_arrays(booster: Booster, categories: Mapping[int, int]) -> TreeArrays | None:
    """The trees of a Booster; None where its predictions are more than their sum, or would take too much memory.

    `categories`: how many a categorical column has, by its place in the matrix.
    """
    document = json.loads(booster.save_raw("json"))
    learner = document["learner"]
    about, model = learner["learner_model_param"], learner["gradient_booster"]
    if model["name"] != "gbtree" or learner["objective"]["name"] not in _PLAIN:
        return None
    trees = model["model"]["trees"]
    width, sizes = int(about["num_feature"]), [len(tree["left_children"]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    first = np.repeat(roots, sizes)
    children = [_joined(trees, f"{side}_children", np.int64) for side in ("left", "right")]
    is_leaf = children[0] < 0
    if not np.array_equal(children[1][~is_leaf], children[0][~is_leaf] + 1):
        return None
    left = np.where(is_leaf, np.arange(len(first)), children[0] + first)
    conditions = _joined(trees, "split_conditions", np.float32)
    goes_right_if_missing = _joined(trees, "default_left", np.int64) == 0
    compared = _joined(trees, "split_indices", np.int64) + width * goes_right_if_missing
    thresholds = np.where(is_leaf, np.float32(np.inf), conditions)
    tables: dict[int, SingleArray] = {}
    place = 2 * width
    for column, splits in _splits_by_category(trees, roots, categories).items():
        if (categories[column] + 1) * len(splits) * 4 > MOST_BYTES:
            return None
        nodes = np.array(list(splits))
        compared[nodes], thresholds[nodes] = place + np.arange(len(nodes)), 0.5
        place += len(nodes)
        table = np.zeros((categories[column] + 1, len(nodes)), np.float32)
        for number, going_right in enumerate(splits.values()):
            table[going_right, number] = 1
        table[-1] = goes_right_if_missing[nodes]
        tables[column] = table
    return TreeArrays(
        roots=roots,
        depth=_depth(roots, left, is_leaf),
        compared=compared,
        thresholds=thresholds,
        left=left,
        leaves=np.where(is_leaf, conditions, np.float32(0)),
        base=_base(document),
        categorical=np.array(list(tables), np.int64),
        goes_right=tuple(tables.values()),
    )


def _base(document: dict[str, Any]) -> np.float32:
    """Where the sum begins: what XGBoost says where its trees add nothing.

    It is saved as a probability, and another library's logarithm of that may differ by a bit.
    """
    import xgboost

    learner = document["learner"]
    grown = learner["gradient_booster"]
    first = grown["model"]["trees"][0]
    tree = first | {"split_conditions": [0.0] * len(first["split_conditions"])}  # so are the values of its leaves
    one = {"trees": [tree], "tree_info": [0], "iteration_indptr": [0, 1]}
    one["gbtree_model_param"] = grown["model"]["gbtree_model_param"] | {"num_trees": "1"}
    learner = learner | {"gradient_booster": grown | {"model": grown["model"] | one}}
    still = xgboost.Booster()
    still.load_model(bytearray(json.dumps(document | {"learner": learner}).encode()))
    row = np.zeros((1, int(learner["learner_model_param"]["num_feature"])), np.float32)
    return np.float32(still.inplace_predict(row, predict_type="margin", validate_features=False)[0])


def _joined(trees: list[dict[str, Any]], name: str, dtype: type[Number]) -> npt.NDArray[Number]:
    return np.concatenate([np.array(tree[name], dtype) for tree in trees])


def _splits_by_category(
    trees: list[dict[str, Any]], roots: IntArray, columns: Iterable[int]
) -> dict[int, dict[int, list[int]]]:
    """For each column that is split by category: its nodes, and the categories that go right there."""
    splits: dict[int, dict[int, list[int]]] = {column: {} for column in columns}
    for root, tree in zip(roots, trees, strict=True):
        segments = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
        for node, start, size in segments:
            splits[tree["split_indices"][node]][root + node] = tree["categories"][start : start + size]
    return {column: nodes for column, nodes in splits.items() if nodes}


def _depth(roots: IntArray, left: IntArray, is_leaf: BoolArray) -> int:
    depth, level = 0, roots
    while len(inner := level[~is_leaf[level]]):
        depth, level = depth + 1, np.concatenate([left[inner], left[inner] + 1])
    return depth
