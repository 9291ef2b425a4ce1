"""The lab on real fits: what it finds, and that nothing that is written down is done again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlops_assets.core.judge.backtest import POLICIES, walk
from mlops_assets.core.judge.backtest_models import Journal, LabRules, ModelLab, Period
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.metrics import Clusters
from mlops_assets.core.monitor.drift import Dropped

PERIODS = ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05")
START = PERIODS[:2]
APRIL = PERIODS[3]


@pytest.fixture
def make_lab(make_spec, make_columns, tmp_path):
    """A function that gives a lab on the tiny dataset, with its journal; in April all sizes are thrice as large."""
    spec = make_spec(features={"categorical": ["town", "zone"], "numeric": {"size": {}}})

    def read(period):
        columns = make_columns(800, seed=PERIODS.index(period))
        y = columns.pop("price")
        if period == APRIL:
            columns["size"], y = columns["size"] * 3, y * 3
        together = (Clusters.of_rows(len(y)),)
        return Period({alias: columns[alias] for alias in spec.inputs()}, y.clip(1, 1000), together, Dropped(800, {}))

    def make(model_type="Ridge", trials=1):
        rules = LabRules(
            spec=spec,
            model_type=resolve_model_type(model_type),
            seed=7,
            threads=1,
            trials=trials,
            confidence=0.95,
            minimum_gain=0.002,
        )
        lab = ModelLab(rules, read, START, Journal(tmp_path / "journal.jsonl"))
        lab.fitted = []
        fit = lab._fit
        lab._fit = lambda learnt: lab.fitted.append(learnt) or fit(learnt)
        return lab

    return make


def test_rows_that_weigh_nothing_are_not_learnt_from(make_lab, monkeypatch):
    lab = make_lab()
    plain = lab.score(PERIODS[:2], PERIODS[2])

    def half_weighed(period, read=lab._read):
        rows = read(period)
        high = rows.y > np.median(rows.y)
        return replace(rows, weights=np.where(high, 0.0, 1.0))

    monkeypatch.setattr(lab, "_read", half_weighed)
    monkeypatch.setattr(lab, "_journal", Journal(lab._journal._path.with_name("weighed.jsonl")))
    lab._periods.clear(), lab._models.clear()
    lab.score(PERIODS[:2], PERIODS[2])
    low = lab._model(PERIODS[:2]).predict_columns(lab._period(PERIODS[2]).columns)
    assert plain.loss < lab.score(PERIODS[:2], PERIODS[2]).loss
    assert low.mean() < lab._period(PERIODS[2]).y.mean()


def walk_all(lab):
    return [step for policy in POLICIES.values() for step in walk(policy, PERIODS, len(START), lab, margin=0.1)]


def test_a_score_is_that_of_a_model_of_those_periods_on_the_other(make_lab):
    lab = make_lab()
    score = lab.score(PERIODS[:2], PERIODS[2])
    period = lab._period(PERIODS[2])
    error = lab._model(PERIODS[:2]).predict_columns(period.columns) - period.y
    assert score.loss == pytest.approx(np.sqrt((error**2).mean()))
    assert (score.mae, score.rows) == (pytest.approx(np.abs(error).mean()), 800)
    assert lab.cpu_seconds(PERIODS[:2]) > 0


def test_a_period_unlike_the_others_has_drifted(make_lab):
    lab = make_lab()
    assert not lab.has_drifted(PERIODS[:2], PERIODS[2])
    assert lab.has_drifted(PERIODS[:3], APRIL)


def test_the_gate_asks_for_proof(make_lab):
    lab = make_lab()
    assert not lab.is_better(PERIODS[:2], PERIODS[:2], PERIODS[4])
    assert lab.is_better((*PERIODS[:3], APRIL), (APRIL,), PERIODS[4])


def test_what_is_written_down_is_not_done_again(make_lab):
    first = make_lab()
    steps = walk_all(first)
    assert first.fitted
    again = make_lab()
    assert walk_all(again) == steps
    assert not again.fitted


def test_a_walk_that_was_killed_ends_as_if_it_had_not_been(make_lab, tmp_path):
    steps = walk_all(make_lab())
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]) + lines[-1][:7])  # and a torn last line
    resumed = make_lab()
    without_cost = [(step.policy, step.period, step.learnt, step.retrained, step.score) for step in walk_all(resumed)]
    assert without_cost == [(step.policy, step.period, step.learnt, step.retrained, step.score) for step in steps]
    assert len(set(resumed.fitted)) > 0


def test_xgboost_grows_as_many_trees_in_every_fit_as_were_best_in_the_first_periods(make_lab):
    lab = make_lab("XGBoost")
    rounds = lab.recipe().rounds
    assert 0 < rounds < 800
    for learnt in (PERIODS[:2], PERIODS[:4]):
        assert lab._model(learnt).estimator.num_boosted_rounds() == rounds


def test_more_trials_try_more_of_the_space(make_lab, tmp_path):
    start = make_lab().recipe().params
    (tmp_path / "journal.jsonl").unlink()
    assert make_lab(trials=6).recipe().params.keys() == start.keys()
    assert json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[0])["key"] == "recipe"


def test_a_journal_keeps_what_was_noted_and_drops_a_torn_line(tmp_path):
    path = tmp_path / "new" / "journal.jsonl"
    journal = Journal(path)
    assert journal.get("a") is None
    assert journal.note("a", {"x": 1}) == {"x": 1}
    journal.note("b", False)
    with path.open("a") as file:
        file.write('{"key": "c", "va')
    again = Journal(path)
    assert (len(again), again.get("a"), again.get("b"), again.get("c")) == (2, {"x": 1}, False, None)
    again.note("c", 3)
    assert Journal(path).get("c") == 3
