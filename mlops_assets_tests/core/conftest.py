"""A small written training set, and objectives that child processes can import."""

import importlib
from pathlib import Path

import pyarrow as pa
import pytest

from mlops_assets.core.cleaning import TARGET
from mlops_assets.core.splitting import choose_months
from mlops_assets.core.training_set import split_rows, write_training_set


@pytest.fixture
def objectives(monkeypatch):
    """The module `search_objectives`; spawned processes get this process's search path, so they find it too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("search_objectives")


@pytest.fixture
def training_set_folder(tmp_path, make_spec, make_columns) -> Path:
    """A training set of some 300 train and 300 validation rows, with missing values, on disk."""
    spec, columns = make_spec(window={"test_months": 0}), make_columns(600)
    months = choose_months(["2024-01", "2024-02"], spec.window)
    month = columns["at"].astype("datetime64[M]").astype(str)
    named = columns | {TARGET: columns["price"]}
    tables = [pa.table({name: values[month == m] for name, values in named.items()}) for m in months.all]
    folder = tmp_path / "training_set"
    folder.mkdir()
    write_training_set(folder, spec, split_rows(spec, tables, months, 7), months, seed=7)
    return folder
