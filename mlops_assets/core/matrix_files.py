"""Files of arrays that grow by rows: those of a split of the training set."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from mlops_assets.core.types import Array, FloatArray, SingleArray

if TYPE_CHECKING:
    from mlops_assets.core.types import SparseMatrix


class ArrayFile:
    """An .npy file to which rows (n,) or (n, width) are appended; closed, it is one that `np.save` would write."""

    def __init__(self, path: Path, dtype: type[np.generic], width: int | None = None) -> None:
        self.rows = 0
        self._file, self._dtype = path.open("wb"), np.dtype(dtype)
        self._tail = () if width is None else (width,)
        self._write_header()

    def append(self, rows: Array) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).data.cast("B") if rows.size else b"")
        self.rows += len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        """NumPy leaves room in a header for any number of rows, so that it can be written over."""
        about = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(self._file, about | {"shape": (self.rows, *self._tail)})


class SplitFiles:
    """Files of one split: `y`, `dense`, `data`, `indices` and `indptr` of the CSR matrix `one_hot`, and `weights`."""

    def __init__(self, folder: Path, name: str, dense_width: int, *, is_weighted: bool = False) -> None:
        kinds: dict[str, type[np.generic]] = {
            "y": np.float64,
            "data": np.float64,
            "indices": np.int32,
            "indptr": np.int64,
        }
        if is_weighted:
            kinds["weights"] = np.float64
        self._open = ExitStack()
        self._files = {
            part: self._open.enter_context(ArrayFile(folder / f"{name}_{part}.npy", dtype))
            for part, dtype in kinds.items()
        }
        self._dense = self._open.enter_context(ArrayFile(folder / f"{name}_dense.npy", np.float32, dense_width))
        self._files["indptr"].append(np.zeros(1, np.int64))

    @property
    def rows(self) -> int:
        return self._dense.rows

    def append(self, y: FloatArray, weights: FloatArray | None, dense: SingleArray, one_hot: SparseMatrix) -> None:
        self._files["indptr"].append(one_hot.indptr[1:].astype(np.int64) + self._files["data"].rows)
        self._files["data"].append(one_hot.data)
        self._files["indices"].append(one_hot.indices)
        self._files["y"].append(y)
        if weights is not None:
            self._files["weights"].append(weights)
        self._dense.append(dense)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()
