"""A divided fit of one share, which needs no cluster: the fit of this process, bit for bit."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mlops_assets.core.learners import out_of_core
from mlops_assets.core.learners.estimators import FitData, fit
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator
from mlops_assets.core.training_set import TrainingSet
from mlops_assets.resources.dask.divided_fit import DividedFit, end_tracker, start_tracker

pytest.importorskip("distributed", reason="the extra dask is not installed")

PARAMS = {"max_depth": 4, "subsample": 0.8, "colsample_bytree": 0.7, "max_bin": 64}


@pytest.fixture
def link():
    """A tracker for one worker."""
    link = start_tracker(1, SimpleNamespace(address="tcp://127.0.0.1:8786"))
    yield link
    end_tracker(link)


@pytest.fixture
def fit_both(training_set_folder, link):
    """A function that gives one share's model as bytes, and that of the same fit in this process."""

    def run(matrix):
        kind = replace(resolve_model_type("XGBoost"), matrix=matrix)
        share = DividedFit(training_set_folder, kind, PARAMS, rounds=8, seed=7, threads=1).grow(0, 1, link, threads=1)
        rows = TrainingSet.load(training_set_folder)
        data = FitData(rows.matrix(matrix, "train"), rows.target("train"), rows.categorical)
        return share, dump_estimator(fit(kind, PARAMS, data, seed=7, threads=1, rounds=8).estimator)

    return run


@pytest.mark.parametrize("matrix", ["dense", "one_hot"])
def test_one_share_is_the_whole_fit(fit_both, matrix):
    share, here = fit_both(matrix)
    assert share == here


@pytest.mark.parametrize("matrix", ["dense", "one_hot"])
def test_rows_that_come_in_blocks_are_learnt_from_as_a_whole(fit_both, matrix, training_set_folder, monkeypatch):
    monkeypatch.setattr(out_of_core, "BLOCK_ROWS", 100)
    X = TrainingSet.load(training_set_folder).matrix(matrix, "validation")
    share, here = (parse_estimator(each).inplace_predict(X) for each in fit_both(matrix))
    assert np.allclose(share, here, rtol=0.02)
