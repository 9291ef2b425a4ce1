"""A model that an earlier release saved loads, and answers as it did then."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from mlops_assets.core.columns import from_rows
from mlops_assets.core.model.answers import FLAGS
from mlops_assets.core.model.model import FORMAT, load_model

SAVED = Path(__file__).parent / "saved"
FOLDERS = sorted(path.parent for path in SAVED.glob("format_*/*/MLmodel"))
# Sums of floats: NumPy and BLAS take their terms in an order that depends on the processor.
LAST_DIGITS = 1e-12
SINGLE = 1e-5  # XGBoost explains in 32 bits


@pytest.fixture(params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def folder(request) -> Path:
    return request.param


@pytest.fixture
def model(folder):
    return load_model(folder / "data" / "model")


@pytest.fixture
def rows(folder) -> list[dict]:
    return json.loads((folder.parent / "rows.json").read_text(encoding="utf-8"))


@pytest.fixture
def answers(folder) -> dict:
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


def test_the_format_of_today_has_models_and_so_have_all_before_it_from_2():
    assert {int(folder.parent.name.removeprefix("format_")) for folder in FOLDERS} == set(range(2, FORMAT + 1))


def test_it_answers_its_golden_rows(model):
    model.self_check()


def test_it_gives_the_numbers_that_it_gave(model, rows, answers):
    today = model.answer_rows(rows)
    for name in ("prediction", "low", "high"):
        expected = np.array(answers[name], float)  # null is NaN
        np.testing.assert_allclose(getattr(today, name), expected, rtol=LAST_DIGITS, err_msg=name)
    for name in FLAGS:
        flagged = {column: np.flatnonzero(flags).tolist() for column, flags in getattr(today, name).items()}
        assert flagged == answers.get(name, {})


def test_what_a_row_must_have_is_what_it_was_and_nothing_where_that_was_not_known(model, answers):
    assert list(model.required) == answers.get("required", [])


def test_it_gives_them_row_by_row_too(model, rows, answers):
    alone = [model.predict([row])[0] for row in rows]
    np.testing.assert_allclose(alone, answers["prediction"], rtol=LAST_DIGITS)


def test_it_explains_them_as_it_did(model, rows, answers):
    today = model.contributions(from_rows(rows, model.spec))
    values = dict(zip(today.names, today.values.T, strict=True)) | {"base": today.base}
    assert values.keys() == answers["contributions"].keys()
    for name, contribution in answers["contributions"].items():
        np.testing.assert_allclose(values[name], contribution, rtol=SINGLE, atol=SINGLE, err_msg=name)


def test_the_loader_that_mlflow_has_written_down_is_still_there(folder, rows, answers):
    flavour = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]["python_function"]
    loaded = importlib.import_module(flavour["loader_module"])._load_pyfunc(str(folder / flavour["data"]))
    np.testing.assert_allclose(loaded.predict(rows), answers["prediction"], rtol=LAST_DIGITS)
