"""Groups of rows: by categories and by numbers in steps, each combination with a number of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mlops_assets.core.columns import Columns, length
from mlops_assets.core.vocabulary import UNKNOWN, Vocabulary, find
from mlops_assets.dataset_parts import name_and_width


@dataclass(frozen=True)
class Token:
    """One name of a key: a category, or a number in steps of `width` between two fitted ends."""

    name: str
    width: float = 0.0
    low: int = 0
    size: int = 0  # codes 1..size; 0 is unknown

    @classmethod
    def fit(cls, text: str, features: Columns, vocabularies: dict[str, Vocabulary]) -> Token:
        name, width = name_and_width(text)
        if name in vocabularies:
            return cls(name, size=len(vocabularies[name]))
        step = width or 1.0
        present = features[name][np.isfinite(features[name])]
        steps = np.floor(present / step) if len(present) else np.zeros(1)
        low = int(steps.min())
        return cls(name, step, low, int(steps.max()) - low + 1)

    @property
    def label(self) -> str:
        """The name, with the width where it is not 1: two keys may differ in it alone."""
        return self.name if self.width in (0, 1) else f"{self.name}/{self.width:g}"

    def encode(self, features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Codes (n,) int64 in 0..size."""
        if self.width == 0:
            return codes[self.name] + 1
        values = np.floor(features[self.name] / self.width) - self.low + 1
        known = (values >= 1) & (values <= self.size)
        return np.where(known, values, 0).astype(np.int64)


@dataclass(frozen=True)
class Key:
    """A group of rows by its tokens, with what was learnt for each group."""

    tokens: tuple[Token, ...]
    ids: np.ndarray  # (groups,) int64, sorted
    values: np.ndarray  # (groups, k) float64: per statistic the shrunk mean, then the log count
    default: np.ndarray  # (k,) for a group that training did not have

    @property
    def name(self) -> str:
        return "__".join(token.label for token in self.tokens)


@dataclass(frozen=True, eq=False)
class Lookup:
    """The groups of several keys in one numbering, so that a row is looked up once for all of them."""

    tokens: tuple[Token, ...]
    steps: np.ndarray  # (tokens, keys) int64, what a token's code counts for in a key's ids
    first: np.ndarray  # (keys,) int64, the first id of each key
    ids: np.ndarray  # (groups,) int64, sorted
    values: np.ndarray  # (groups + keys, k): of each group, then the default of each key

    @classmethod
    def of(cls, keys: Sequence[Key]) -> Lookup:
        tokens = tuple(dict.fromkeys(token for key in keys for token in key.tokens))
        steps = np.zeros((len(tokens), len(keys)), np.int64)
        for number, key in enumerate(keys):
            step = 1
            for token in reversed(key.tokens):
                steps[tokens.index(token), number] += step
                step *= token.size + 1
        first = np.cumsum([0, *(most_groups(key.tokens) for key in keys)])[:-1]
        width = max(len(key.default) for key in keys)
        values = [_widened(key.values, width) for key in keys] + [_widened(key.default[None], width) for key in keys]
        ids = np.concatenate([key.ids + start for key, start in zip(keys, first, strict=True)])
        return cls(tokens, steps, first, ids, np.vstack(values))

    def __call__(self, features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Statistics (n, keys, k) of each row's groups."""
        encoded = np.empty((length(features), len(self.tokens)), np.int64)
        for number, token in enumerate(self.tokens):
            encoded[:, number] = token.encode(features, codes)
        ids = encoded @ self.steps + self.first
        place = find(self.ids, ids.reshape(-1)).reshape(ids.shape)
        defaults = np.arange(len(self.ids), len(self.values))
        return self.values.take(np.where(place == UNKNOWN, defaults, place), axis=0)


def _widened(values: np.ndarray, width: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def most_groups(tokens: tuple[Token, ...]) -> int:
    return prod(token.size + 1 for token in tokens)


def group_ids(tokens: tuple[Token, ...], features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
    """One number (n,) int64 for each combination of the tokens' codes."""
    ids = tokens[0].encode(features, codes)
    for token in tokens[1:]:
        ids = ids * (token.size + 1) + token.encode(features, codes)
    return ids
