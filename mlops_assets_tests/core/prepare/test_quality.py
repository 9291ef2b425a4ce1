import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.prepare.cleaning import TARGET, clean
from mlops_assets.core.prepare.quality import CLEAN_CHECKS, HISTORY, RAW_CHECKS, CheckOutcome, check_clean, check_raw
from mlops_assets.dataset import SNAPSHOT, DatasetSpec, load_dataset
from mlops_assets.sources import open_source
from mlops_assets_tests.warm import TRUE_PYTHON

PERIOD = "2024-02"
TAXI_PERIODS = ("2023-07", "2023-08", "2023-09", "2023-10", "2023-11", "2023-12", "2024-01", "2024-02")
TAXI = next(
    (found for up in Path(__file__).resolve().parents if (found := up.parent / "shared" / "data").is_dir()),
    None,
)


def spec_of(**changes) -> DatasetSpec:
    document = {
        "name": "parcels",
        "source": {"kind": "files", "uri": "parcels.parquet"},
        "columns": {
            "sent_at": {"from": "SECRET_TS", "type": "time"},
            "depot": {"from": "SECRET_DEPOT", "type": "integer"},
            "size": {"type": "text"},
            "weight": {"type": "number"},
            "hours": {"type": "number"},
        },
        "time": {"column": "sent_at", "first": "2024-01"},
        "target": {"column": "hours", "keep": [1, 100], "unit": "hours"},
        "rows": [{"name": "a known depot", "column": "depot", "not_null": True}],
        "features": {"categorical": ["depot", "size"], "numeric": {"weight": {}}},
    }
    return DatasetSpec.model_validate(document | changes)


SPEC = spec_of()


def rows(n: int = 1000, **changes) -> pa.Table:
    """`n` good rows of PERIOD, no two of them equal; `changes` replace whole columns."""
    number = np.arange(n)
    columns = {
        "sent_at": np.datetime64(PERIOD, "us") + number * np.timedelta64(1, "s"),
        "depot": number % 7,
        "size": pa.array(np.array(["small", "large"], object)[number % 2], pa.string()),
        "weight": number % 30 + 0.5,
        "hours": number % 90 + 2.0,
    }
    return pa.table(columns | changes)


def part(n: int, share: float, bad, good) -> np.ndarray:
    """A column whose first `share` of values is `bad`."""
    return np.where(np.arange(n) < share * n, bad, good)


def raw(table: pa.Table, spec: DatasetSpec = SPEC, partition: str = PERIOD, before=None) -> dict[str, CheckOutcome]:
    return {outcome.name: outcome for outcome in check_raw(spec, table, partition, before or {})}


def cleaned(table: pa.Table, spec: DatasetSpec = SPEC, partition: str = PERIOD) -> dict[str, CheckOutcome]:
    result = clean(spec, table, partition)
    outcomes = check_clean(spec, result.table, partition, result.dropped, table.num_rows)
    return {outcome.name: outcome for outcome in outcomes}


def failed(outcomes: dict[str, CheckOutcome]) -> set[str]:
    return {outcome.name for outcome in outcomes.values() if not outcome.passed}


def stopped(outcomes: dict[str, CheckOutcome]) -> set[str]:
    return {outcome.name for outcome in outcomes.values() if outcome.blocking}


def test_good_rows_pass_every_check():
    assert not failed(raw(rows()))
    assert not failed(cleaned(rows()))


@pytest.mark.parametrize("table", [rows(), rows(0), rows().drop_columns("depot")], ids=["good", "empty", "broken"])
def test_every_declared_check_has_an_outcome_in_the_declared_order(table):
    assert [outcome.name for outcome in check_raw(SPEC, table, PERIOD, {})] == [c.name for c in RAW_CHECKS]
    outcomes = check_clean(SPEC, table, PERIOD, {}, 10)
    assert [outcome.name for outcome in outcomes] == [check.name for check in CLEAN_CHECKS]
    assert {outcome.name for outcome in outcomes if outcome.blocking} <= {c.name for c in CLEAN_CHECKS if c.blocking}


def test_a_table_that_is_not_the_datasets_stops_and_is_not_judged_further():
    outcomes = raw(rows().drop_columns("depot"), before={"2024-01": 1000})
    assert stopped(outcomes) == failed(outcomes) == {"schema"}
    assert outcomes["schema"].description == "depot: the column is missing"
    assert outcomes["row_count"].numbers["ratio"] == 1
    assert outcomes["duplicates"].description.startswith("not judged")


def test_many_problems_are_told_in_part_and_counted():
    outcome = raw(pa.table({"unknown": [1]}))["schema"]
    assert outcome.numbers["problems"] == 6
    assert outcome.description.endswith("; and 1 more")


def test_an_empty_period_stops():
    outcomes = raw(rows(0), before={"2024-01": 1000})
    assert stopped(outcomes) == {"rows_present"}
    assert failed(outcomes) == {"rows_present", "row_count"}


@pytest.mark.parametrize("n", [1, 10, 5_000, 250_000])
def test_no_check_expects_the_row_count_of_a_period_it_has_seen(n):
    """Checks that assert one exact count break on the first new period."""
    table = rows(n)
    before = {"2023-12": int(n * 0.9), "2024-01": int(n * 1.2)}
    assert not failed(raw(table, before=before))
    assert not stopped(cleaned(table))


@pytest.mark.parametrize(("n", "passes"), [(499, False), (500, True), (2000, True), (2001, False)])
def test_far_fewer_or_more_rows_than_before_is_a_warning(n, passes):
    outcome = raw(rows(n), before={"2023-11": 900, "2023-12": 1000, "2024-01": 1100})["row_count"]
    assert (outcome.passed, outcome.blocking) == (passes, False)
    assert outcome.numbers["ratio"] == n / 1000


def test_one_odd_period_before_does_not_move_the_band():
    before = {"2023-10": 1000, "2023-11": 1000, "2023-12": 1000, "2024-01": 20_000}
    assert raw(rows(1000), before=before)["row_count"].passed


def test_only_the_newest_periods_before_a_period_are_its_history():
    old = {f"2022-{period:02}": 100_000 for period in range(1, 13)}
    recent = {f"2023-{period:02}": 1000 for period in range(1, HISTORY + 1)}
    itself_and_later = {PERIOD: 90_000, "2024-03": 90_000}
    outcome = raw(rows(1000), before=old | recent | itself_and_later)["row_count"]
    assert (outcome.numbers["median_before"], outcome.numbers["periods_compared"]) == (1000, HISTORY)


@pytest.mark.parametrize("before", [{}, {"2024-03": 50_000}, {"2024-01": 0}])
def test_without_periods_before_it_the_row_count_passes_with_a_note(before):
    outcome = raw(rows(), before=before)["row_count"]
    assert outcome.passed and outcome.description == "no period before it to compare with"


def test_an_input_that_is_mostly_empty_is_a_warning():
    outcomes = raw(rows(weight=part(1000, 0.6, np.nan, np.arange(1000.0))))
    assert (failed(outcomes), stopped(outcomes)) == ({"empty_values"}, set())
    assert outcomes["empty_values"].description == "weight is 60.0% empty"
    assert outcomes["empty_values"].numbers["empty weight"] == 0.6


@pytest.mark.parametrize("alias", ["sent_at", "depot", "hours"])
def test_time_target_or_a_required_column_without_a_value_stops(alias):
    table = rows()
    table = rows(**{alias: pa.nulls(1000, table.schema.field(alias).type)})
    assert "empty_values" in stopped(raw(table))


def test_an_optional_input_without_a_value_does_not_stop():
    outcomes = raw(rows(size=pa.nulls(1000, pa.string())))
    assert (failed(outcomes), stopped(outcomes)) == ({"empty_values"}, set())


def test_targets_that_are_nowhere_finite_stop():
    outcome = raw(rows(hours=np.full(1000, np.inf)))["empty_values"]
    assert outcome.blocking and outcome.description == "no row has a target"


def test_a_target_between_two_times_that_never_both_hold_stops():
    sent = part(1000, 0.5, np.datetime64("NaT", "us"), rows()["sent_at"].to_numpy())
    arrived = part(1000, 0.5, rows()["sent_at"].to_numpy(), np.datetime64("NaT", "us"))
    columns = {"sent_at": {"type": "time"}, "arrived_at": {"type": "time"}, "depot": {"type": "integer"}}
    spec = spec_of(
        columns=columns,
        target={"minutes_between": ["sent_at", "arrived_at"], "keep": [1, 60]},
        features={"categorical": ["depot"]},
    )
    table = pa.table({"sent_at": sent, "arrived_at": arrived, "depot": np.arange(1000)})
    outcomes = raw(table, spec)
    assert stopped(outcomes) == {"empty_values"}
    assert outcomes["target_range"].description == "not judged: no row has a target"


@pytest.mark.parametrize(("share", "passes"), [(0.5, True), (0.51, False)])
def test_targets_mostly_outside_the_kept_range_are_a_warning(share, passes):
    outcome = raw(rows(hours=part(1000, share, 101.0, 50.0)))["target_range"]
    assert (outcome.passed, outcome.blocking) == (passes, False)
    assert outcome.description == f"{share:.1%} of targets lie outside 1..100 hours"


def test_a_dataset_that_keeps_every_target_has_no_target_range():
    outcome = raw(rows(hours=np.full(1000, 1e9)), spec_of(target={"column": "hours"}))["target_range"]
    assert outcome.passed and outcome.description == "not judged: the dataset keeps every target"


@pytest.mark.parametrize(("repeated", "passes"), [(10, True), (11, False)])
def test_equal_rows_are_a_warning_past_one_in_a_hundred(repeated, passes):
    table = pa.concat_tables([rows(1000 - repeated), rows(repeated)])
    outcome = raw(table)["duplicates"]
    assert (outcome.passed, outcome.blocking) == (passes, False)
    assert outcome.numbers == {"rows": repeated, "share": repeated / 1000}


def test_rows_that_are_equal_but_for_an_empty_value_are_not_equal():
    twice = pa.concat_tables([rows(10), rows(10, size=pa.nulls(10, pa.string()))])
    assert raw(twice)["duplicates"].numbers["rows"] == 0


@pytest.mark.parametrize(
    ("share", "passes", "blocks"), [(0.01, True, False), (0.02, False, False), (0.51, False, True)]
)
def test_rows_of_another_period_warn_and_a_file_of_another_period_stops(share, passes, blocks):
    elsewhere = part(1000, share, np.datetime64("2008-12-31T23:00", "us"), rows()["sent_at"].to_numpy())
    outcome = raw(rows(sent_at=elsewhere))["period"]
    assert (outcome.passed, outcome.blocking) == (passes, blocks)
    assert outcome.numbers["share"] == share


def test_rows_without_a_time_are_empty_and_not_of_another_period():
    sent = part(1000, 0.6, np.datetime64("NaT", "us"), rows()["sent_at"].to_numpy())
    outcomes = raw(rows(sent_at=sent))
    assert failed(outcomes) == {"empty_values"}
    assert outcomes["period"].numbers["rows"] == 0


def test_rows_of_other_periods_pass_where_the_dataset_keeps_them():
    spec = spec_of(time={"column": "sent_at", "first": "2024-01", "keep_other_periods": True})
    outcome = raw(rows(), spec, "2024-01")["period"]
    assert outcome.passed and outcome.description == "not judged: the dataset keeps rows of other periods"


def test_a_snapshot_is_judged_without_a_period():
    spec = spec_of(time=None, key=["sent_at"])
    outcomes = raw(rows(), spec, SNAPSHOT)
    assert not failed(outcomes)
    assert outcomes["period"].description == "not judged: the dataset has no time column"
    assert not failed(cleaned(rows(), spec, SNAPSHOT))


@pytest.mark.parametrize(("share", "passes"), [(0.5, True), (0.51, False)])
def test_cleaning_away_most_rows_is_a_warning_that_names_the_rule(share, passes):
    table = rows(hours=part(1000, share, 500.0, np.arange(1000.0) % 90 + 1))
    outcome = cleaned(table)["rows_kept"]
    assert (outcome.passed, outcome.blocking) == (passes, False)
    assert f"most were dropped by 'target is in 1..100': {round(share * 1000)}" in outcome.description
    assert outcome.numbers["dropped by 'target is in 1..100'"] == round(share * 1000)


def test_no_row_left_stops():
    empty = clean(SPEC, rows(), PERIOD).table.slice(0, 0)
    (_, kept, values) = check_clean(SPEC, empty, PERIOD, {"target is in 1..100": 1000}, 1000)
    assert kept.blocking and not kept.passed
    assert values.description.startswith("not judged")


def test_a_clean_row_outside_the_rules_stops():
    table = clean(SPEC, rows(), PERIOD).table
    broken = table.set_column(table.num_columns - 1, TARGET, pa.array(np.full(1000, 100.5)))
    schema = check_clean(SPEC, broken, PERIOD, {}, 1000)[0]
    assert schema.blocking and schema.description == "target: 1,000 row(s) break 'in 1..100' (such as 100.5)"


def test_a_target_that_is_not_finite_stops():
    spec = spec_of(target={"column": "hours"})
    table = clean(spec, rows(), PERIOD).table
    broken = table.set_column(table.num_columns - 1, TARGET, pa.array(part(1000, 0.002, np.inf, 5.0)))
    outcome = check_clean(spec, broken, PERIOD, {}, 1000)[-1]
    assert outcome.blocking and outcome.description == "2 target(s) are not finite"


def test_one_and_the_same_target_everywhere_is_a_warning():
    outcome = cleaned(rows(hours=np.full(1000, 7.0)))["target_values"]
    assert (outcome.passed, outcome.blocking) == (False, False)
    assert outcome.description == "every target is 7: nothing can be learnt"


def test_no_outcome_tells_a_real_column_name():
    tables = [
        rows(),
        rows(0),
        rows().rename_columns(["SECRET_TS", "SECRET_DEPOT", "size", "weight", "hours"]),
    ]
    for table in tables:
        assert "SECRET" not in str(check_raw(SPEC, table, PERIOD, {}))
        assert "SECRET" not in str(check_clean(SPEC, table, PERIOD, {}, 10))


def test_a_value_from_the_environment_shows_as_its_variable(tmp_path):
    path = tmp_path / "parcels.yaml"
    path.write_text(
        """
name: parcels
source: {kind: files, uri: parcels.parquet}
columns: {size: {type: text}, hours: {type: number}}
target: {column: hours}
rows: [{name: "not of ${FIRM}", column: size, none_of: ["${FIRM}"]}]
features: {categorical: [size]}
""",
        encoding="utf-8",
    )
    spec = load_dataset(str(path), {"FIRM": "Hidden"})
    table = pa.table({"size": ["Hidden", "Hidden", "b", "c"], "hours": [1.0, 2.0, 3.0, 4.0]})
    leaking = table.rename_columns(["size", TARGET]).add_column(0, "row_id", pa.array(range(4)))
    outcomes = [*cleaned(table, spec, SNAPSHOT).values(), *check_clean(spec, leaking, SNAPSHOT, {}, 4)]
    assert "Hidden" not in str(outcomes)
    assert "such as ${FIRM}" in str(outcomes)


def test_checks_are_declared_without_a_heavy_import():
    code = (
        "import sys; from mlops_assets.core.prepare.quality import RAW_CHECKS, CLEAN_CHECKS;"
        "print(sorted({'pandas', 'pandera', 'pyarrow', 'dagster'} & set(sys.modules)))"
    )
    root = str(Path(__file__).resolve().parents[3])
    answer = subprocess.run(
        [TRUE_PYTHON, "-c", code],
        cwd=root,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == "[]", answer.stderr


def judge_periods(spec: DatasetSpec, source, periods) -> set[str]:
    """What fails in real periods, each judged against those before it."""
    before: dict[str, int] = {}
    problems = set()
    for period in periods:
        table = source.read(period)
        outcomes = [*raw(table, spec, period, before).values(), *cleaned(table, spec, period).values()]
        problems |= {f"{period}: {outcome.name}: {outcome.description}" for outcome in outcomes if not outcome.passed}
        before[period] = table.num_rows
    return problems


def test_every_period_of_flights_passes(tmp_path):
    spec = load_dataset("nyc_flights", {})
    source = open_source(spec, tmp_path, timeout=1, retries=0)
    periods = list(source.partitions())
    assert len(periods) == 12
    assert judge_periods(spec, source, periods) == set()


@pytest.mark.skipif(TAXI is None, reason="the real taxi files are not in ../shared/data")
def test_every_real_period_of_taxi_trips_passes(tmp_path):
    spec = load_dataset("nyc_green_taxi", {}, f"{TAXI}/green_tripdata_{{period}}.parquet")
    source = open_source(spec, tmp_path, timeout=1, retries=0)
    assert judge_periods(spec, source, TAXI_PERIODS) == set()
