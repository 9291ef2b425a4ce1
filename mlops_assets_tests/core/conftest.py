"""Small training sets and final models, and objectives that child processes can import.

Most tests of the core need none of them, and are to start in under a second: each fixture imports what it needs.
"""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.model.model import Model
    from mlops_assets.dataset import DatasetSpec


@pytest.fixture
def objectives(monkeypatch) -> ModuleType:
    """The module `search_objectives`; spawned processes get this process's search path, so they find it too."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "spawned")
    return importlib.import_module("search_objectives")


@pytest.fixture
def training_set_folder(tmp_path, make_spec, make_columns) -> Path:
    """A training set of some 300 train and 300 validation rows, with missing values, on disk."""
    from mlops_assets_tests.core.examples import write_rows

    return write_rows(tmp_path / "training_set", make_spec(window={"test_periods": 0}), make_columns(600))


@pytest.fixture
def orders() -> "Callable[..., dict[str, np.ndarray]]":
    """A function that gives rows of orders: what the town, the hour and holidays do to their price."""
    from mlops_assets_tests.core.examples import order_columns

    return order_columns


@pytest.fixture
def order_spec(make_spec, tiny) -> "DatasetSpec":
    """The tiny spec in New York, with holidays, and a narrower range of sizes and prices."""
    features = tiny["features"] | {
        "numeric": {"size": {"clip": [1, 60]}},
        "calendar": {"at": {"parts": ["hour", "weekday", "holiday", "minute_of_day"], "country": "US"}},
    }
    columns = tiny["columns"] | {"at": {"type": "time", "timezone": "America/New_York"}}
    return make_spec(columns=columns, target={"column": "price", "keep": [8, 150]}, features=features)


@pytest.fixture
def final_model(order_spec) -> "Callable[..., Model]":
    """A function that gives a model of a type with all its parts, made of so many orders and 1,000 held out."""
    from mlops_assets_tests.core.examples import fit_final_model

    return partial(fit_final_model, order_spec)


@pytest.fixture
def class_model(make_spec, tiny) -> "Callable[[str, dict], Model]":
    """A function that gives a model of a type of classes of the price, by the other keys of the target."""
    from mlops_assets_tests.core.examples import fit_final_model

    features = tiny["features"] | {"group_means": {"keys": [["town"], ["zone", "size/10"]]}}

    def model(name: str, target: dict) -> "Model":
        return fit_final_model(make_spec(target={"column": "price"} | target, features=features), name)

    return model
