"""Rows for XGBoost in blocks, so that of a mapped training set only one is held in memory beside its bins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from xgboost import DataIter

BLOCK_ROWS = 500_000


def row_blocks(X: csr_matrix | np.ndarray, y: np.ndarray, kinds: Sequence[str] | None) -> DataIter:
    """The rows of X (n, m) with their targets (n,), in order; `kinds`: XGBoost's type of each column."""
    from xgboost import DataIter

    class Blocks(DataIter):
        first = 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            if self.first >= len(y):
                return False
            block = slice(self.first, self.first + BLOCK_ROWS)
            input_data(data=X[block], label=y[block], feature_types=kinds)
            self.first = block.stop
            return True

        def reset(self) -> None:
            self.first = 0

    return Blocks()
