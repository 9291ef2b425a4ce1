"""Types that the rooms of core share: arrays, named by what they hold, and what is asked of an estimator.

An array's shape is said where it is used. NumPy alone is imported: a matrix of SciPy is named without loading SciPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FloatArray: TypeAlias = npt.NDArray[np.float64]
SingleArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.signedinteger[Any]]  # places, codes and counts; int64 where it is stored
KeyArray: TypeAlias = npt.NDArray[np.uint64]  # bits that are mixed or compared, and nothing else
BoolArray: TypeAlias = npt.NDArray[np.bool_]
TimeArray: TypeAlias = npt.NDArray[np.datetime64]
Array: TypeAlias = npt.NDArray[Any]  # a column: float64, datetime64[us] or object

MatrixKind = Literal["one_hot", "dense"]
SparseMatrix: TypeAlias = "csr_matrix[np.float64]"  # one_hot
Matrix: TypeAlias = "csr_matrix[np.float64] | SingleArray"  # one_hot, or dense
AnyMatrix = Literal["one_hot", "dense", "both"]  # of a model: the members of an ensemble may take one each


@dataclass(frozen=True, eq=False)
class Both:
    """The same rows as both kinds of matrix, or one row as both kinds of entries."""

    one_hot: Any
    dense: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.dense.shape)

    def __getitem__(self, rows: Any) -> Both:
        return Both(self.one_hot[rows], self.dense[rows])


def of_kind(X: Any, kind: MatrixKind) -> Any:
    """What an estimator of this kind takes of a matrix, or of a row, that may be both."""
    return getattr(X, kind) if isinstance(X, Both) else X


class Estimator(Protocol):
    """Anything fitted that predicts: an estimator of scikit-learn, a Booster, trees as arrays, an ensemble.

    What it takes and gives differs: `learners.estimators.predict` knows how.
    """

    def predict(self, X: Any, /) -> Any: ...


class LinearModel(Estimator, Protocol):
    """An estimator whose prediction is X @ coef_ + intercept_."""

    coef_: FloatArray
    intercept_: float
