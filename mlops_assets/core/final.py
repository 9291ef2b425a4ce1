"""The final form of a model, as it is registered: with intervals, what explains it, and golden rows to check it by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_assets.core.contributions import learn_background
from mlops_assets.core.golden import Golden, Specimens
from mlops_assets.core.intervals import Intervals
from mlops_assets.core.model import Model

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix


def finish(model: Model, X: csr_matrix | np.ndarray, specimens: Specimens, intervals: Intervals | None) -> Model:
    """`model` with all its parts; X (n, width) is the matrix on which its estimator was fitted."""
    background = learn_background(model.estimator, X)
    model = replace(model, signature=specimens.signature, intervals=intervals, background=background)
    return replace(model, golden=Golden.of(model.spec, specimens.columns, model.answer(specimens.columns)))
