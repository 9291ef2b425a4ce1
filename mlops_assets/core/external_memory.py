"""XGBoost on more rows than memory holds: it reads them a part at a time, and keeps its bins on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from xgboost import ExtMemQuantileDMatrix

PART_ROWS = 2**19  # so many, binned, are a page on disk; a few pages are in memory at a time


def external_matrix(
    X: csr_matrix | np.ndarray, y: np.ndarray, kinds: Sequence[str] | None, max_bin: int | None, folder: Path
) -> ExtMemQuantileDMatrix:
    """Rows X (n, width) and y (n,), best of mapped files, in bins that are written below `folder`.

    The folder must outlive the matrix. What is held in memory is a few numbers a row: target, gradient, prediction.
    """
    from xgboost import DataIter, ExtMemQuantileDMatrix

    class Parts(DataIter):
        def __init__(self) -> None:
            self._at = 0
            super().__init__(cache_prefix=str(folder / "bins"))

        def reset(self) -> None:
            self._at = 0

        def next(self, input_data) -> bool:
            part = slice(self._at, self._at + PART_ROWS)
            if part.start >= X.shape[0]:
                return False
            input_data(data=X[part], label=np.asarray(y[part]), feature_types=kinds)
            self._at = part.stop
            return True

    return ExtMemQuantileDMatrix(Parts(), max_bin=max_bin, enable_categorical=True)
