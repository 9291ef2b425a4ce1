"""Drift of whole samples: each planted change is named, and what is not planted is not."""

import json

import numpy as np
import pytest

from mlops_assets.core.columns import take
from mlops_assets.core.monitor.drift import BEYOND, Dropped, Sample, add_up, compare, variables
from mlops_assets.core.monitor.drift_views import distributions, rows, sentence, strengths, table

KEPT = Dropped(6_000, {"target is known": 120, "size": 30})


@pytest.fixture
def spec(make_spec):
    parts = ["hour", "weekday", "month", "holiday"]
    calendar = {"at": {"parts": parts, "country": "US"}}
    return make_spec(features={"categorical": ["town", "zone"], "numeric": {"size": {}}, "calendar": calendar})


@pytest.fixture
def sample(spec, make_columns):
    """A function that gives a sample of random rows, changed as asked; the night is quiet in them."""

    def make(seed, change=lambda columns: columns, dropped=KEPT, prediction=None):
        columns = make_columns(6_000, seed)
        hours = np.random.default_rng(seed).normal(13, 3, 6_000).clip(0, 23.9)
        columns["at"] = columns["at"].astype("datetime64[D]") + (hours * 3600e6).astype("timedelta64[us]")
        columns = change(columns)
        y = columns.pop("price")
        return Sample(variables(spec, columns, y, y if prediction is None else prediction(y)), dropped)

    return make


@pytest.fixture
def drifted(sample):
    """A function that names what has drifted in a changed sample."""
    return lambda change=lambda columns: columns, **more: {
        shift.name for shift in compare(sample(1, change, **more), sample(0), held_out=False).drifted
    }


def test_features_are_compared_as_the_model_sees_them_without_what_the_calendar_fixes(sample):
    kinds = {variable.name: (variable.role, variable.kind) for variable in sample(0).variables}
    assert kinds == {
        "size": ("feature", "number"),
        "at_hour": ("feature", "hour"),
        "at_weekday": ("feature", "category"),
        "town": ("feature", "category"),
        "zone": ("feature", "category"),
        "prediction": ("prediction", "number"),
        "target": ("target", "number"),
    }


def test_rows_of_the_same_kind_do_not_drift(drifted):
    assert drifted() == set()


def test_a_scaled_feature_is_named(drifted):
    assert drifted(lambda columns: columns | {"size": columns["size"] * 1.6}) == {"size"}


def test_a_category_that_is_gone_is_named(drifted, sample):
    def without_cork(columns):
        return take(columns, columns["town"] != "Cork")

    assert drifted(without_cork) == {"town"}
    report = compare(sample(1, without_cork), sample(0), held_out=False)
    (effect,) = [effect for effect in report.drifted[0].effects if effect.measure == "gone"]
    assert effect.words == "Cork"


def test_values_that_are_missing_are_named(drifted):
    def with_holes(columns):
        return columns | {"zone": np.where(np.arange(6_000) % 5 == 0, np.nan, columns["zone"])}

    assert drifted(with_holes) == {"zone"}


@pytest.mark.parametrize(("hours", "told"), [(5, "+5 h"), (-3, "-3 h")])
def test_a_clock_that_moved_is_named_with_its_hours(sample, hours, told):
    def moved(columns):
        return columns | {"at": columns["at"] + np.timedelta64(hours, "h")}

    report = compare(sample(1, moved), sample(0), held_out=False)
    shift = report.drifted[0]
    assert (shift.name, shift.strongest.words) == ("at_hour", f"clocks look moved by {told}")


def test_labels_that_come_late_are_named(drifted):
    late = Dropped(6_000, {"target is known": 2_000, "size": 30})
    assert drifted(dropped=late) == {"dropped: target is known"}


def test_predictions_that_moved_are_named(drifted):
    assert drifted(prediction=lambda y: y * 2) == {"prediction"}


def test_a_target_that_moved_beside_the_prediction_is_named_only_where_the_model_had_not_seen_it(sample):
    noise = np.random.default_rng(3).normal(0, 5, 6_000)
    moved, before = sample(1, prediction=lambda y: y + noise - 4), sample(0)
    assert [shift.name for shift in compare(moved, before, held_out=True).drifted] == [BEYOND]
    assert not compare(moved, before, held_out=False).drifted


def test_what_the_same_period_last_year_had_too_is_no_drift_but_the_seasons(sample):
    def summer(columns):
        return columns | {"size": columns["size"] * 1.6}

    report = compare(sample(1, summer), sample(0), sample(2, summer), held_out=False)
    assert not report.drifted
    assert [shift.name for shift in report.seasonal] == ["size"]
    assert "as each year: size" in sentence(report)
    winter = compare(sample(1, summer), sample(0), sample(2), held_out=False)
    assert [shift.name for shift in winter.drifted] == ["size"]


def test_what_cleaning_dropped_of_several_periods_adds_up():
    both = add_up([KEPT, Dropped(4_000, {"target is known": 80, "period": 5})])
    assert both == Dropped(10_000, {"target is known": 200, "size": 30, "period": 5})


def test_a_report_puts_what_drifted_first_and_says_it_in_words_numbers_and_pictures(sample):
    report = compare(sample(1, lambda columns: columns | {"size": columns["size"] * 3}), sample(0), held_out=True)
    assert report.shifts[0].name == "size"
    assert table(report).splitlines()[2].startswith("| **size** | feature | drifted | ")
    assert sentence(report).startswith("size: median ")
    told = json.loads(json.dumps(rows(report)))
    assert {row["measure"] for row in told if row["variable"] == "size"} == {"PSI", "KS", "missing"}
    assert [row["verdict"] for row in told if row["variable"] == "zone"] == ["as before"] * 4
    for picture in (strengths(report, "Drift"), distributions(report, sample(1), sample(0))):
        assert picture.startswith(b"<svg")


def test_twenty_shuffled_periods_raise_one_false_alarm_at_most(sample):
    alarms = sum(bool(compare(sample(seed), sample(seed + 100), held_out=False).drifted) for seed in range(20))
    assert alarms <= 1
