"""Model types: what can be tuned and fitted, by a shipped name or a scikit-learn regressor's import path."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlops_assets.core.learners.search_spaces import ModelTypeSpec, Space, load_search_spaces
from mlops_assets.core.types import MatrixKind
from mlops_assets.errors import ModelError

SHIPPED = Path(__file__).with_name("search_spaces.yaml")
XGBOOST = "xgboost.XGBRegressor"
_SPARSE_BY_NATURE = ("sklearn.linear_model.", "sklearn.svm.")


@dataclass(frozen=True)
class ModelType:
    """A kind of estimator: how it is imported, which matrix it learns from, what a search may vary."""

    name: str
    import_path: str
    matrix: MatrixKind
    space: Space

    @property
    def is_xgboost(self) -> bool:
        return self.import_path == XGBOOST

    def load_class(self) -> type:
        """The estimator's class; imports its library."""
        estimator_class: type = _import(self.import_path)
        return estimator_class


@lru_cache(maxsize=1)
def shipped_model_types() -> Mapping[str, ModelTypeSpec]:
    """The entries of `search_spaces.yaml`, which ships with the project."""
    return load_search_spaces(SHIPPED)


def resolve_model_type(name: str, extra: Mapping[str, ModelTypeSpec] | None = None) -> ModelType:
    """The model type of a shipped name, an entry of the user's YAML, or a regressor's import path.

    `sklearn.` may be left out of a path: `linear_model.Lasso`. Shipped names are resolved without importing a
    library. Raises ModelError, with close matches, where the name leads to no scikit-learn regressor.
    """
    shipped = shipped_model_types()
    by_path = {entry.import_path: entry for entry in shipped.values()}
    own = (extra or {}).get(name) or ModelTypeSpec()
    entry = shipped.get(name) or ModelTypeSpec()
    path = own.import_path or entry.import_path or name
    path = path if path in by_path or path.startswith("sklearn.") else f"sklearn.{path}"
    base = by_path.get(path) or ModelTypeSpec(matrix=_default_matrix(name, path))
    matrix = own.matrix or base.matrix or _default_matrix(name, path)
    space = own if "parameters" in own.model_fields_set else base
    return ModelType(name, path, matrix, Space(parameters=space.parameters, start=space.start))


def _default_matrix(name: str, path: str) -> MatrixKind:
    """One-hot for linear models and support vectors that take sparse matrices.

    Raises ModelError where `path` leads to no regressor, or to one that cannot be used here.
    """
    from sklearn.base import RegressorMixin
    from sklearn.utils import get_tags

    try:
        regressor = _import(path)
    except (ImportError, AttributeError):
        regressor = None
    if not inspect.isclass(regressor) or not issubclass(regressor, RegressorMixin):
        raise ModelError(f"'{name}' is not a model type: {_advice(path)}")
    try:
        tags = get_tags(regressor())
    except TypeError as error:
        raise ModelError(f"'{name}' cannot be built without arguments ({error}): use another regressor") from None
    if not tags.target_tags.single_output:
        raise ModelError(f"'{name}' only predicts several targets at once: use another regressor")
    return "one_hot" if tags.input_tags.sparse and path.startswith(_SPARSE_BY_NATURE) else "dense"


def _import(path: str) -> Any:
    """What a path names, which may be no class."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _advice(path: str) -> str:
    from sklearn.utils import all_estimators

    public = (f"{cls.__module__.split('._')[0]}.{name}" for name, cls in all_estimators(type_filter="regressor"))
    by_class = {path.rpartition(".")[2]: path for path in public} | {name: name for name in shipped_model_types()}
    close = get_close_matches(path.rpartition(".")[2], by_class, n=3)
    if close:
        return f"did you mean {' or '.join(by_class[match] for match in close)}?"
    return f"use one of {', '.join(shipped_model_types())}, or the import path of a scikit-learn regressor"
