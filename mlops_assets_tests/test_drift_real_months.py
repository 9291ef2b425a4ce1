"""Drift on the real periods of both shipped datasets: what is named of planted changes, and what is not."""

import numpy as np
import pytest

from mlops_assets.core.columns import concatenate, from_table, take
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.monitor.drift import BEYOND, Dropped, Sample, add_up, compare, variables
from mlops_assets.core.prepare.cleaning import TARGET, clean
from mlops_assets.dataset import load_dataset
from mlops_assets.sources import open_source

EVERY = 3  # row of a period


class Periods:
    """Thinned clean periods of a dataset."""

    def __init__(self, spec, read, names):
        self.spec, self.found = spec, {}
        for name in names:
            cleaned = clean(spec, read(name), name)
            columns = from_table(cleaned.table, [*spec.inputs(), TARGET])
            raw_rows = cleaned.table.num_rows + sum(cleaned.dropped.values())
            self.found[name] = take(columns, slice(None, None, EVERY)), Dropped(raw_rows, cleaned.dropped)

    def sample(self, *names, change=lambda columns: columns, dropped=None, model=None):
        columns = change(concatenate([self.found[name][0] for name in names]))
        y = columns[TARGET]
        inputs = {alias: columns[alias] for alias in self.spec.inputs()}
        prediction = model(inputs) if model else None
        found = variables(self.spec, inputs, y, prediction)
        return Sample(found, dropped or add_up(self.found[name][1] for name in names))

    def named(self, now, before, **planted):
        return {
            shift.name for shift in compare(self.sample(now, **planted), self.sample(*before), held_out=False).drifted
        }

    def model(self, *names):
        """XGBoost, fitted on these periods."""
        columns = concatenate([self.found[name][0] for name in names])
        y, spec = columns.pop(TARGET), self.spec
        encoded = fit_encoder(spec.features, columns, y, 7)
        xgboost = resolve_model_type("XGBoost")
        params = xgboost.space.adopt(xgboost.space.start) | {"learning_rate": 0.2}
        data = FitData(encoded.dense, y, encoded.encoder.dense_categorical)
        booster = fit(xgboost, params, data, seed=7, threads=2, rounds=80).estimator
        return lambda rows: predict(booster, encoded.encoder.transform(spec.features, rows, "dense"))


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    spec = load_dataset("nyc_flights", {})
    source = open_source(spec, tmp_path_factory.mktemp("cache"), timeout=30, retries=0)
    return Periods(spec, source.read, [f"2013-{number:02}" for number in range(1, 13)])


@pytest.fixture(scope="module")
def taxi(taxi_month):
    spec = load_dataset("nyc_green_taxi", {})
    return Periods(spec, lambda period: taxi_month(spec, period), ["2023-11", "2023-12", "2024-01", "2024-02"])


def test_december_is_named_as_flights_that_take_longer_than_the_model_says(flights):
    before = [f"2013-{number:02}" for number in range(1, 11)]
    model = flights.model(*before)
    report = compare(flights.sample("2013-12", model=model), flights.sample(*before, model=model), held_out=True)
    assert [shift.name for shift in report.drifted] == [BEYOND]
    assert report.drifted[0].strongest.words.startswith("truth +")


def test_periods_like_those_before_them_are_quiet(flights, taxi):
    for period in ("2013-02", "2013-04", "2013-06", "2013-08", "2013-10"):
        before = [name for name in flights.found if name < period]
        assert flights.named(period, before) == set(), period
    assert taxi.named("2024-02", ["2023-11", "2023-12", "2024-01"]) == set()


def hours_later(alias, hours):
    return lambda columns: columns | {alias: columns[alias] + np.timedelta64(hours, "h")}


def with_holes(columns):
    passengers = columns["passengers"].copy()
    passengers[::5] = np.nan
    return columns | {"passengers": passengers}


PLANTED = {
    "distance": lambda columns: columns | {"distance": columns["distance"] * 1.6},
    "vendor": lambda columns: take(columns, columns["vendor"] != 1),
    "passengers": with_holes,
    "pickup_at_hour": hours_later("pickup_at", 5),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_in_a_taxi_period_is_named(taxi, name):
    named = taxi.named("2024-02", ["2023-11", "2023-12", "2024-01"], change=PLANTED[name])
    assert name in named
    assert all(other == name or other.startswith("pickup_at_") for other in named)


def test_targets_that_come_late_are_named(taxi):
    rows, by_rule = taxi.found["2024-02"][1].rows, dict(taxi.found["2024-02"][1].by_rule)
    late = Dropped(rows, by_rule | {"target is known": by_rule["target is known"] + rows // 3})
    named = taxi.named("2024-02", ["2023-11", "2023-12", "2024-01"], dropped=late)
    assert named == {"dropped: target is known"}


def test_a_carrier_that_is_gone_is_named(flights):
    before = [f"2013-{number:02}" for number in range(1, 10)]
    named = flights.named("2013-10", before, change=lambda columns: take(columns, columns["carrier"] != "B6"))
    assert {"carrier"} <= named <= {"carrier", "destination", "origin"}


def test_twenty_shuffled_periods_raise_one_false_alarm_at_most(flights):
    every = concatenate([columns for columns, _ in flights.found.values()])
    parts = np.array_split(np.random.default_rng(7).permutation(len(every[TARGET])), 20)

    def sample(rows):
        columns = take(every, rows)
        return Sample(variables(flights.spec, columns, columns[TARGET]), Dropped(len(rows), {}))

    reports = [
        compare(sample(part), sample(np.concatenate([other for other in parts if other is not part])), held_out=False)
        for part in parts
    ]
    assert sum(bool(report.drifted) for report in reports) <= 1
