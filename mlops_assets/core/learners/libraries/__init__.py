"""Libraries with estimators, files and SHAP values of their own; what is of none of them goes scikit-learn's way.

In: an unfitted estimator and rows, or a fitted one. Out: what `library.Library` lists. A library is known by its name
at the front of an import path, and of the module of a fitted estimator's class.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mlops_assets.core.learners.libraries.catboost import CatBoost
from mlops_assets.core.learners.libraries.lightgbm import LightGBM
from mlops_assets.core.learners.libraries.xgboost import XGBoost
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from mlops_assets.core.learners.libraries.library import Library
    from mlops_assets.core.types import Estimator

LIBRARIES: Mapping[str, Library] = {"xgboost": XGBoost(), "lightgbm": LightGBM(), "catboost": CatBoost()}


def library_of_path(import_path: str) -> Library | None:
    """The library of an unfitted estimator's class."""
    return LIBRARIES.get(import_path.partition(".")[0])


def library_of(estimator: Estimator) -> Library | None:
    """The library that has fitted an estimator."""
    return LIBRARIES.get(type(estimator).__module__.partition(".")[0])


def refuse_absent(what: str, library: Library) -> None:
    """Raise ModelError where a library's packages are not installed; an extra of the same name installs each."""
    for package in library.packages:
        if find_spec(package) is None:
            raise ModelError(
                f"{what} needs the package {package}, which is not installed: pip install 'mlops-assets[{package}]'"
            )
