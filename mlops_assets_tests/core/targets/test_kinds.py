"""Each kind of target: what it takes, what it refuses, what it makes of raw output."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mlops_assets.core.learners.estimators import FitData, fit, for_few_rows, for_one_row, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator
from mlops_assets.core.targets import metrics
from mlops_assets.core.targets.classes import Classes
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.targets.scaling import best_way, by_shape, crossed, sigmoid
from mlops_assets.dataset.target import Target
from mlops_assets.errors import DataError

RNG = np.random.default_rng(7)
N = 4_000
X = RNG.normal(size=(N, 3)).astype(np.float32)
MARGIN = 1.5 * X[:, 0] - X[:, 1] - 1
LATE = (RNG.random(N) < sigmoid(MARGIN)).astype(np.float64)
BINARY = target_of(Target(column="y", kind="binary"))
THREE = target_of(Target(column="y", classes=("poor", "fair", "good")))
GRADE = np.digitize(X[:, 0] + RNG.normal(size=N), [-0.7, 0.7]).astype(np.float64)
GRADE_MARGINS = np.stack([-1.5 * X[:, 0], np.full(N, 0.2), 1.5 * X[:, 0]], axis=1)


def kind(**target):
    return target_of(Target(column="y", **target))


def two(positive):
    return np.stack([1 - positive, positive], axis=1)


def test_losses_of_rows_are_those_of_scikit_learn():
    y, output = RNG.poisson(3, 500).astype(float), RNG.gamma(3, 1, 500)
    assert metrics.MAE(y, output) == pytest.approx(sklearn_metrics.mean_absolute_error(y, output))
    assert metrics.RMSLE(y, output) == pytest.approx(sklearn_metrics.root_mean_squared_log_error(y, output))
    assert metrics.POISSON(y, output) == pytest.approx(sklearn_metrics.mean_poisson_deviance(y, output))
    assert metrics.TWEEDIE(y, output) == pytest.approx(sklearn_metrics.mean_tweedie_deviance(y, output, power=1.5))
    assert metrics.pinball(0.9)(y, output) == pytest.approx(sklearn_metrics.mean_pinball_loss(y, output, alpha=0.9))
    said = RNG.random(N)
    assert metrics.LOG_LOSS(LATE, two(said)) == pytest.approx(sklearn_metrics.log_loss(LATE, said))
    assert metrics.BRIER(LATE, two(said)) == pytest.approx(sklearn_metrics.brier_score_loss(LATE, said))


def test_a_cost_is_that_of_the_decision_with_the_least_expected_cost():
    costs = ((0.0, 1.0), (5.0, 0.0))
    found = metrics.cost(costs).losses(np.array([0.0, 1.0, 1.0]), two(np.array([0.1, 0.1, 0.2])))
    assert found.tolist() == [0, 5, 0]  # from 1/6 on, an alarm is cheaper


@pytest.mark.parametrize(
    ("target", "values", "codes"),
    [
        ({"kind": "binary"}, np.array([0.0, 1.0, np.nan]), [0, 1, np.nan]),
        ({"above": 14}, np.array([14.0, 15.0, np.nan]), [0, 1, np.nan]),
        ({"positive": "yes"}, np.array(["no", "yes", None], object), [0, 1, np.nan]),
        ({"classes": ("a", "b", "c")}, np.array(["c", "a", "d"], object), [2, 0, np.nan]),
    ],
)
def test_classes_are_told_by_a_column_a_limit_a_value_or_a_list(target, values, codes):
    assert np.array_equal(kind(**target).encode(values), codes, equal_nan=True)


@pytest.mark.parametrize(
    ("target", "splits", "message"),
    [
        ({"kind": "binary"}, ([0, 1] * 20, [0]), None),
        ({"kind": "binary"}, ([0] * 20, [0, 1]), "class '1' is in the held rows and in no train row"),
        ({"kind": "binary"}, ([0] * 20, [0]), "hold one class alone, '0'; '1' never occurs"),
        ({"kind": "binary"}, ([0] * 20 + [1] * 9, [0]), "class '1' has 9 train row\\(s\\), fewer than the 10 folds"),
        ({}, ([0, 1] * 20, [0]), "holds 0 and 1 alone: write kind: binary to learn two classes, or kind: number to"),
        ({}, ([1, 2] * 20, [1]), "holds 1 and 2 alone: write positive: 2 to learn two classes, or kind: number to"),
        ({"kind": "number"}, ([0, 1] * 20, [0]), None),
        ({"transform": "log"}, ([3, -1], [0]), "transform: log is for targets from 0 on"),
        ({"metric": "poisson"}, ([3, -1], [0]), "metric: poisson is for targets from 0 on"),
    ],
)
def test_targets_of_which_nothing_can_be_learnt_are_told_in_a_sentence(target, splits, message):
    named = dict(zip(("train", "held"), (np.array(y, float) for y in splits), strict=True))
    if message is None:
        kind(**target).check(named)
    else:
        with pytest.raises(DataError, match=message):
            kind(**target).check(named)


@pytest.mark.parametrize(
    ("target", "question", "sentence"),
    [
        ({"unit": "euros"}, "y", "0.30 euros (it was 1)"),
        ({"kind": "binary"}, "whether y is 1", "1 with a probability of 30% (it was 1)"),
        ({"above": 14}, "whether y is above 14", "above 14 with a probability of 30% (it was above 14)"),
        ({"classes": ("a", "b", "c")}, "y", "a (it was b)"),
    ],
)
def test_a_kind_has_words_of_its_own(target, question, sentence):
    assert kind(**target).question("y") == question
    assert kind(**target).sentence(0.3, 1.0) == sentence


@pytest.mark.parametrize(("of", "y", "raw"), [(BINARY, LATE, MARGIN), (THREE, GRADE, GRADE_MARGINS)])
def test_a_set_holds_each_class_as_often_as_is_meant_and_no_more(of, y, raw):
    half = N // 2
    rule = of.learn(raw[:half], y[:half], 0.9)
    said = of.answers(of.output(raw[half:], rule), rule)
    held = said.likely[np.arange(half), y[half:].astype(int)]
    shares = [held[y[half:] == code].mean() for code in np.unique(y)]
    assert min(shares) > 0.86 and max(shares) < 0.94


def test_a_set_may_leave_out_the_likeliest_and_is_never_empty():
    rule = replace(BINARY.learn(MARGIN, LATE, 0.9), cutoffs=np.array([0.8, 0.15]))
    assert rule.sets(two(np.array([0.1, 0.18, 0.3]))).tolist() == [[True, False], [True, True], [False, True]]
    apart = replace(rule, cutoffs=np.array([0.8, 0.7]))
    assert apart.sets(two(np.array([0.1, 0.4, 0.6, 0.9]))).tolist() == [[True, False]] * 2 + [[False, True]] * 2


@pytest.mark.parametrize(("of", "y", "raw"), [(BINARY, LATE, MARGIN), (THREE, GRADE, GRADE_MARGINS)])
def test_a_row_alone_has_the_set_that_it_has_among_others(of, y, raw):
    rule = of.learn(raw, y, 0.9)
    together = of.numbers(of.output(raw, rule), rule, None, {})
    alone = of.row_numbers(rule, None)
    for row in range(50):
        *numbers, said = alone(raw[row], {}, False)
        expected = [together.prediction[row], together.low[row], together.high[row]]
        assert np.allclose(numbers, expected, rtol=0, atol=1e-12, equal_nan=True)
        assert said.likely == together.classes.row(row).likely


@pytest.mark.parametrize("value", [-1.0, 1.5])
def test_a_count_that_is_none_is_refused_with_its_value(value):
    with pytest.raises(DataError, match=f"has {value:g}: counts are 0, 1, 2"):
        kind(kind="count").encode(np.array([1.0, value]))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"metric": "log_loss"}, "metric: log_loss does not fit kind number"),
        ({"kind": "binary", "metric": "rmse"}, "metric: rmse does not fit kind binary"),
        ({"metric": "pinball"}, "pinball and quantile go together"),
        ({"kind": "binary", "metric": "cost"}, "cost needs costs"),
        ({"kind": "binary", "keep": (0, 1)}, "keep is not for kind binary"),
        ({"kind": "binary", "intervals": "quantiles"}, "intervals is not for kind binary"),
        ({"classes": (1, 2, 3), "intervals": "quantiles"}, "intervals is not for kind category"),
        ({"intervals": "quantile"}, "Input should be 'quantiles'"),
        ({"classes": ("a", "b")}, "at least three"),
        ({"classes": tuple(map(str, range(101)))}, "101 classes are more than 100"),
        ({"kind": "binary", "costs": ((0, 1), (5, 6))}, "the right decision must cost less"),
        ({"kind": "binary", "recall": 0.9, "precision": 0.9}, "one of costs, precision and recall"),
    ],
)
def test_keys_that_do_not_go_together_are_told(target, message):
    with pytest.raises(ValueError, match=message):
        Target(column="y", **target)


def test_scaling_makes_probabilities_that_come_true_of_margins_that_are_too_steep():
    for margins in (3 * MARGIN, 0.2 * MARGIN + 2):
        found = best_way(margins, LATE)(margins, LATE).probabilities(margins)
        assert np.allclose(found.sum(axis=1), 1)
        assert abs(found[:, 1].mean() - LATE.mean()) < 0.01
        honest = metrics.LOG_LOSS(LATE, crossed(margins, LATE, by_shape))
        assert honest < metrics.LOG_LOSS(LATE, two(sigmoid(margins))) - 0.01


@pytest.mark.parametrize(
    ("margins", "of_one_period", "method"),
    [
        (MARGIN, False, "as they are"),
        (MARGIN + 0.4, False, "Platt"),
        (MARGIN + 0.4, True, "as they are"),  # the rate of a period is not that of the next
        (3 * MARGIN, True, "Platt"),  # which no period makes of log-odds
    ],
)
def test_margins_are_scaled_where_that_gains_more_than_a_period_is_apart_from_the_next(margins, of_one_period, method):
    rule = BINARY.learn(margins[:900], LATE[:900], 0.9, of_one_period=of_one_period)
    assert rule.scaling.method == method
    balanced = kind(kind="binary", balanced=True).learn(MARGIN[:900] + 0.4, LATE[:900], 0.9, of_one_period=True)
    assert balanced.scaling.method == "Platt"


@pytest.mark.parametrize("target", [BINARY, THREE])
def test_a_few_rows_that_are_told_apart_make_no_estimator_surer_than_it_is(target):
    y = np.arange(18.0) % len(target.labels)
    apart = np.equal.outer(y, np.arange(len(target.labels))) * 3.0
    margins = apart if target is THREE else apart[:, 1] - apart[:, 0]
    assert target.learn(margins, y, 0.9).scaling.method == "as they are"
    for way in (best_way, lambda *rows: by_shape):
        worth = metrics.LOG_LOSS(y, crossed(margins, y, way(margins, y)))
        assert worth > 0.04  # not that of an estimator that is never wrong
    assert target.honest_output(margins, y) == pytest.approx(target.output(margins))


def test_a_few_margins_that_are_no_log_odds_are_scaled():
    few = slice(0, 150)
    rule = BINARY.learn(0.1 * MARGIN[few], LATE[few], 0.9)
    assert rule.scaling.method == "Platt"
    assert metrics.LOG_LOSS(LATE, BINARY.output(0.1 * MARGIN, rule)) < 0.55


@pytest.mark.parametrize(("target", "y", "margins"), [(BINARY, LATE, MARGIN), (THREE, GRADE, None)])
def test_sets_hold_the_true_class_as_often_as_they_say_in_each_class(target, y, margins):
    if margins is None:
        margins = np.stack([-X[:, 0], np.zeros(N), X[:, 0]], axis=1)
    half = N // 2
    rule = target.learn(margins[:half], y[:half], 0.9)
    said = target.numbers(target.output(margins[half:], rule), rule, None, {}).classes
    for code in range(len(target.labels)):
        own = y[half:] == code
        assert said.likely[own, code].mean() == pytest.approx(0.9, abs=0.04)


def test_a_threshold_follows_costs_precision_or_recall_and_is_told_in_the_answer():
    by_cost = kind(kind="binary", costs=((0, 1), (4, 0))).learn(MARGIN, LATE, 0.9)
    assert by_cost.threshold == pytest.approx(0.2)
    for name, measure in (("precision", sklearn_metrics.precision_score), ("recall", sklearn_metrics.recall_score)):
        target = kind(kind="binary", **{name: 0.8})
        rule = target.learn(MARGIN, LATE, 0.9)
        decided = target.answers(target.output(MARGIN, rule), rule).decision
        assert measure(LATE, decided) == pytest.approx(0.8, abs=0.03)
        assert target.row_numbers(rule, None)(float(MARGIN[0]), {}, False)[3].threshold == rule.threshold


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_equal_probabilities_are_told_the_same_however_their_last_bit_is_rounded(name):
    target = kind(kind="binary", **{name: 0.8})
    margin = np.round(MARGIN.astype(float) * 2) / 2  # many rows have each
    rule = target.learn(margin, LATE, 0.9)
    said = [target.answers(target.output(np.nextafter(np.unique(margin), end), rule), rule) for end in (-9, 9)]
    assert 0 < said[0].decision.mean() < 1 and 0 < said[0].likely.mean() < 1
    assert np.array_equal(said[0].decision, said[1].decision) and np.array_equal(said[0].likely, said[1].likely)


@pytest.mark.parametrize("name", ["XGBoost", "LightGBM", "CatBoost", "LogisticRegression", "RandomForestClassifier"])
@pytest.mark.parametrize(("target", "y"), [(BINARY, LATE), (THREE, GRADE)])
def test_estimators_give_margins_alone_and_together(name, target, y):
    model_type = resolve_model_type(name, target=target)
    params = {"n_estimators": 20} if name not in ("LogisticRegression", "CatBoost") else {}
    rounds = {"rounds": 40} if name == "CatBoost" else {}
    estimator = fit(model_type, params, FitData.of(target, X, y), seed=7, threads=1, **rounds).estimator
    raw = predict(estimator, X)
    assert raw.shape == ((N,) if target is BINARY else (N, 3))
    assert target.metric(y, target.output(raw)) < 0.8 * np.log(len(target.labels))
    one = for_one_row(for_few_rows(estimator, {}), "dense", 3)
    assert np.abs(np.array([one(row.tolist()) for row in X[:50]]) - raw[:50]).max() < 1e-9


BOOSTED = ("XGBoost", "LightGBM", "CatBoost")


@pytest.mark.parametrize("name", BOOSTED)
@pytest.mark.parametrize(
    "target", [{"kind": "count"}, {"metric": "tweedie"}, {"metric": "mae"}, {"metric": "pinball", "quantile": 0.9}]
)
def test_boosted_trees_minimise_the_metric_and_say_so_after_they_were_loaded(name, target):
    asked = kind(**target)
    rng = np.random.default_rng(1)
    y = rng.poisson(np.exp(1 + X[:, 0] / 2)).astype(float) + rng.random(N) * (asked.objective in ("mae", "pinball"))
    model_type = resolve_model_type(name, target=asked)
    data = FitData.of(asked, X, y)
    estimator = fit(model_type, {"learning_rate": 0.2}, data, seed=7, threads=1, rounds=80).estimator
    said = predict(estimator, X)
    assert np.array_equal(predict(parse_estimator(dump_estimator(estimator)), X), said)
    if asked.objective in ("mae", "pinball"):
        assert np.mean(y <= said) == pytest.approx(target.get("quantile", 0.5), abs=0.05)
    else:
        assert said.min() > 0 and said.mean() == pytest.approx(y.mean(), rel=0.05)


@pytest.mark.parametrize("name", BOOSTED)
@pytest.mark.parametrize(("target", "y"), [(BINARY, LATE), (THREE, GRADE)])
def test_boosting_for_classes_stops_early_and_sooner_where_it_cannot_win(name, target, y):
    model_type = resolve_model_type(name, target=target)
    params = model_type.space.adopt(model_type.space.start) | {"early_stopping_rounds": 10}
    half = N // 2
    data = FitData.of(target, X[:half], y[:half], (), (X[half:], y[half:]))
    whole, hopeless = (fit(model_type, params, data, seed=7, threads=1, beat=beat) for beat in (np.inf, 0.01))
    assert 3 < whole.rounds < 700 and hopeless.rounds <= whole.rounds


def test_the_logarithm_of_a_target_over_many_decades_is_learnt_and_brought_back():
    target = kind(transform="log", keep=(1e-3, 1e9))
    y = np.exp(RNG.normal(size=N) + 5)
    smeared = target.learn(np.full(N, 5.0), y, 0.9)
    assert target.output(np.full(1, 5.0), smeared)[0] == pytest.approx(y.mean(), rel=0.05)
    assert kind(transform="log", metric="mae").learn(np.full(N, 5.0), y, 0.9) is None
    intervals = target.intervals(target.output(np.full(N, 5.0), smeared), y, 0.9, (), None, 1.0)
    found = target.numbers(target.output(np.full(N, 5.0), smeared), smeared, intervals, {})
    assert np.mean((found.low <= y) & (y <= found.high)) == pytest.approx(0.9, abs=0.02)
    assert found.low.min() > 0


def test_balanced_classes_weigh_the_same():
    weights = kind(kind="binary", balanced=True).row_weights(LATE, None)
    assert weights[LATE == 0].sum() == pytest.approx(weights[LATE == 1].sum())


def test_plots_and_scores_of_classes_are_made_for_any_number_of_them():
    for target, y in ((BINARY, LATE), (THREE, GRADE)):
        output = next(iter(target.baselines(y, None, N).values()))
        assert all(draw().svg().startswith(b"<svg") for draw in target.plots(y, output).values())
        assert target.scores(y, output)["ece"] < 0.01


def test_a_kind_is_the_same_object_for_equal_targets():
    assert BINARY is target_of(Target(column="y", kind="binary"))
    assert isinstance(BINARY, Classes) and hash(BINARY) == hash(BINARY)
