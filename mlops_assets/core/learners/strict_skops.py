"""skops.io that trusts only plain values by itself, in a copy beside the one that others in the process may use.

To say what it trusts, skops imports all of scikit-learn, and looks for hundreds of functions of numpy and scipy in
every module that is loaded: up to two seconds of CPU where Dagster is. Here `is_trusted` says it of the types that a
file holds.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from threading import Lock
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

_TYPES = "skops.io._trusted_types"
# Modules of what a package brings of others, tests itself by, or does when it is run.
_NOT_FOR_USERS = {"externals", "tests", "conftest", "__main__"}
_IMPORTING = Lock()  # two threads at once would take out what the other has put in
# What fitted estimators of scikit-learn hold that is no estimator, as skops lists it.
_INTERNAL = {
    "sklearn._loss.link.HalfLogitLink",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.ExponentialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
}


class _PlainTypes(ModuleType):
    """Stands for the module of skops that lists what is trusted: plain values, and no list of anything else."""

    PRIMITIVE_TYPE_NAMES: ClassVar = [f"builtins.{kind.__name__}" for kind in (int, float, str, bool)]
    CONTAINER_TYPE_NAMES: ClassVar = [f"builtins.{kind.__name__}" for kind in (list, set, map, tuple)]
    NUMPY_DTYPE_TYPE_NAMES: ClassVar = sorted({f"numpy.{kind.__name__}" for kind in np.sctypeDict.values()})
    NUMPY_RANDOM_BIT_GENERATOR_TYPE_NAMES: ClassVar = [
        f"numpy.random.{kind.__name__}" for kind in np.random.BitGenerator.__subclasses__()
    ]

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_TYPE_NAMES"):
            return []
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")


def import_skops() -> ModuleType:
    """The copy: `dumps`, `loads` and `get_untrusted_types` of skops.io, and its `exceptions`."""
    with _IMPORTING:
        return _copy()


@cache
def _copy() -> ModuleType:
    theirs = _taken_out()
    sys.modules[_TYPES] = _PlainTypes(_TYPES)
    try:
        return importlib.import_module("skops.io")
    finally:
        _taken_out()
        sys.modules.update(theirs)


def _taken_out() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "skops"}


def is_trusted(path: str) -> bool:
    """Whether a path names an estimator of scikit-learn, what these hold, or a function of numpy or scipy on arrays."""
    if path in _INTERNAL:
        return True
    module, _, name = path.rpartition(".")
    rooms = module.split(".")
    if rooms[0] not in ("numpy", "scipy", "sklearn") or _NOT_FOR_USERS.intersection(rooms):
        return False
    from sklearn.base import BaseEstimator

    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, np.ufunc) or (isinstance(found, type) and issubclass(found, BaseEstimator))
