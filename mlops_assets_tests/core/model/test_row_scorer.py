"""A row alone is answered in plain values, exactly as it is among others as columns."""

import json
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import strategies as st

from mlops_assets.core.columns import from_rows, stack
from mlops_assets.core.metrics import ROUNDING
from mlops_assets.core.model.answers import FLAGS, NUMBERS, Answers
from mlops_assets.core.model.golden_rows import difference
from mlops_assets.core.model.model import ALONE
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import InputError
from mlops_assets_tests.core.examples import PARAMETERS, fit_final_model, order_columns
from mlops_assets_tests.properties import JSON, for_all
from mlops_assets_tests.tiny import TINY

# Every derivation, and every part of the calendar.
FEATURES = {
    "categorical": ["town", "zone"],
    "numeric": {"size": {"clip": [1, 60]}},
    "derived": {
        "since": {"function": "minutes_between", "of": ["ordered", "at"]},
        "clock": {"function": "clock_minutes", "of": ["opens"]},
        "open": {"function": "clock_minutes_between", "of": ["opens", "closes"]},
        "larger": {"function": "difference", "of": ["size", "zone"]},
        "share": {"function": "ratio", "of": ["size", "zone"]},
        "log_size": {"function": "log", "of": ["size"]},
    },
    "calendar": {
        "at": {"parts": ["hour", "weekday", "month", "minute_of_day", "minute_of_week", "holiday"], "country": "US"}
    },
    "pairs": [["town", "zone"]],
    "group_means": {
        "keys": [["town"], ["town", "at_hour/6"], ["zone", "size/10"], ["open/60"]],
        "relative_to": "size",
    },
}
CLOCKS = {"opens": {"type": "integer"}, "closes": {"type": "integer", "missing": "allow"}}
TIMES = {"at": {"type": "time", "timezone": "America/New_York"}, "ordered": {"type": "time", "missing": "allow"}}
COLUMNS = TINY["columns"] | TIMES | CLOCKS
SPEC = DatasetSpec.model_validate(
    TINY | {"columns": COLUMNS, "target": {"column": "price", "keep": [8, 150]}, "features": FEATURES}
)
KINDS = [*((name, None) for name in PARAMETERS), ("Lasso", "dense"), ("XGBoost", "one_hot")]

OFFSETS = st.none() | st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
USUAL = st.datetimes(datetime(2023, 12, 1), datetime(2024, 4, 1), timezones=OFFSETS)
ANY = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS)
MOMENTS = st.none() | (USUAL | ANY).map(datetime.isoformat)
HHMM = st.none() | st.sampled_from([0, 830, "1745", 1275.0, 2400, 2401, -5, 2**60])
NUMBERS_SENT = st.none() | st.floats(-10, 120) | st.floats() | st.floats(allow_nan=False).map(repr)
VALUES = {
    "at": MOMENTS,
    "ordered": MOMENTS,
    "town": st.none() | st.sampled_from(["Ay", "Bree", "Cork", "", 3.0, 7]) | st.text(max_size=3),
    "zone": st.none() | st.integers(0, 7) | st.integers(-(2**60), 2**60) | st.sampled_from(["3", 4.0, "inf"]),
    "size": NUMBERS_SENT,
    "opens": HHMM,
    "closes": HHMM,
}
ROW = st.fixed_dictionaries({}, optional=VALUES)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(filter(None, kind)))
def model(request):
    return fit(*request.param)


def fit(name, matrix=None):
    return fit_final_model(SPEC, name, 400, matrix, orders)


def orders(n, seed=0):
    """Orders with the hours of a shop; some lack what may be missing."""
    rng = np.random.default_rng(seed)
    columns = order_columns(n, seed)
    ordered = columns["at"] - rng.integers(1, 9_000, n).astype("timedelta64[s]")
    closes = np.where(rng.random(n) < 0.2, np.nan, rng.choice([1800, 1830, 2200], n))
    return columns | {"ordered": ordered, "opens": rng.choice([730.0, 800, 915], n), "closes": closes}


def outcome(answer):
    try:
        return answer()
    except InputError as error:
        return str(error), error.row, error.field


def assert_same(alone: Answers, among: Answers):
    for name in NUMBERS:
        assert difference(getattr(alone, name), getattr(among, name)).max() <= ROUNDING, name
    assert alone.rows()[0][3:] == among.rows()[0][3:]


def test_the_golden_rows_alone_are_what_they_are_together(model):
    for number, row in enumerate(model.golden.rows):
        alone = model.answer_rows([row])
        assert_same(alone, model.answer(from_rows([row], SPEC)))
        expected = np.array([model.golden.expected[name][number] for name in NUMBERS])
        assert difference(np.array([getattr(alone, name)[0] for name in NUMBERS]), expected).max() <= ROUNDING


def test_any_row_is_answered_or_refused_alike(model):
    @for_all(150, row=ROW)
    def alike(row):
        alone = outcome(lambda: model.answer_rows([row]))
        among = outcome(lambda: model.answer_complete(from_rows([row], SPEC)))
        if isinstance(among, Answers):
            assert_same(alone, among)
        else:
            assert alone == among

    alike()


@pytest.fixture(scope="module")
def ridge():
    return fit("Ridge")


def test_whatever_json_holds_is_refused_in_the_same_words(ridge):
    @for_all(200, row=st.dictionaries(st.sampled_from([*SPEC.inputs(), "price"]), JSON, max_size=4) | JSON)
    def alike(row):
        alone = outcome(lambda: ridge.row_scorer.read([row]))
        among = outcome(lambda: ridge.refuse_incomplete(from_rows([row], SPEC)))
        assert alone == among or (isinstance(alone, list) and among is None)

    alike()


def test_rows_that_were_read_make_the_columns_of_the_same_rows(ridge):
    @for_all(rows=st.lists(ROW, min_size=1, max_size=4))
    def alike(rows):
        try:
            columns = from_rows(rows, SPEC)
            stacked = stack(ridge.row_scorer.read(rows), SPEC)
        except InputError:
            return
        assert [values.dtype for values in stacked.values()] == [values.dtype for values in columns.values()]
        for alias, values in columns.items():
            np.testing.assert_array_equal(stacked[alias], values)

    alike()


@pytest.mark.parametrize("count", [1, ALONE, ALONE + 1, 40])
def test_each_of_several_rows_has_the_answer_that_it_has_alone(ridge, count):
    rows = json.loads(json.dumps(ridge.golden.rows[:count]))
    answers = ridge.answer_each(ridge.row_scorer.read(rows))
    alone = [ridge.row_scorer.answer(row) for row in ridge.row_scorer.read(rows)]
    assert len(answers) == count
    for one, other in zip(answers, alone, strict=True):
        assert difference(np.array(one[:3]), np.array(other[:3])).max() <= ROUNDING
        assert one[3:] == other[3:]


def test_a_row_that_lacks_what_it_must_have_is_named_by_its_number(ridge):
    rows = [dict(ridge.golden.rows[0]) for _ in range(3)]
    needed = ridge.required[0]
    del rows[2][needed]
    with pytest.raises(InputError, match=rf"row 2: .*{needed} must be given"):
        ridge.row_scorer.read(rows)


def test_flags_of_an_answer_are_names_of_fields(ridge):
    [answer] = ridge.answer_rows([ridge.golden.rows[0]]).rows()
    assert answer._fields == (*NUMBERS, *FLAGS, "classes")
