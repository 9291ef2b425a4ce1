"""One file with all rows: split by period, or a snapshot."""

import pyarrow.csv
import pytest

from mlops_assets.dataset import SNAPSHOT, load_dataset
from mlops_assets.errors import NotPublished, SourceError

FLIGHTS = [27004, 24951, 28834, 28330, 28796, 28243, 29425, 29327, 27574, 28889, 27268, 28135]


@pytest.fixture
def path(tmp_path, trips):
    path = tmp_path / "trips.csv"
    path.write_text(trips)
    return path


@pytest.fixture
def spec(make_spec, path):
    return make_spec({"kind": "files", "uri": str(path)})


@pytest.fixture
def parses(monkeypatch):
    """The parses of CSV files so far."""
    parses = []
    real = pyarrow.csv.read_csv
    monkeypatch.setattr(pyarrow.csv, "read_csv", lambda *args, **kwargs: parses.append(1) or real(*args, **kwargs))
    return parses


def test_flights_of_the_package_come_by_period_of_new_yorks_clock(open_rows):
    source = open_rows(load_dataset("nyc_flights", {}))
    periods = source.partitions()
    assert list(periods) == [f"2013-{period:02d}" for period in range(1, 13)]
    assert [source.read(period).num_rows for period in periods] == FLIGHTS
    assert sum(FLIGHTS) == 336_776


def test_all_periods_of_a_file_cost_one_parse(spec, open_rows, parses):
    source = open_rows(spec)
    assert [source.read(period)["zone"].to_pylist() for period in source.partitions()] == [[3], [4]]
    assert len(parses) == 1


def test_another_process_knows_the_versions_without_a_parse(spec, open_rows, parses, tmp_path):
    known = open_rows(spec).partitions()
    assert open_rows(spec).partitions() == known
    assert len(parses) == 1
    (kept,) = (tmp_path / "cache").glob("versions-*.json")
    kept.write_text("{")
    assert open_rows(spec).partitions() == known
    assert len(parses) == 2


def test_a_changed_file_is_read_anew_under_a_new_version(spec, path, open_rows, parses, trips):
    source = open_rows(spec)
    before = source.partitions()
    path.write_text(trips + "2024-03-01 00:00:00,5,1,c,z\n")
    after = source.partitions()
    assert (list(before), list(after)) == (["2024-01", "2024-02"], ["2024-01", "2024-02", "2024-03"])
    assert after == before | {"2024-03": after["2024-03"]}  # what has not changed keeps its version
    assert len(parses) == 2
    path.write_text(trips.replace("1.5", "1.75"))
    late = source.partitions()
    assert (late["2024-01"] == before["2024-01"], late["2024-02"] == before["2024-02"]) == (False, True)


def test_periods_outside_the_specs_range_are_left_out(make_spec, path, open_rows, trips):
    path.write_text(trips + "2023-12-31 23:59:59,5,1,c,z\n2024-04-01 00:00:00,5,1,c,z\n,5,1,c,z\n")
    spec = make_spec({"kind": "files", "uri": str(path)})
    assert list(open_rows(spec).partitions()) == ["2024-01", "2024-02"]
    ending = make_spec(
        {"kind": "files", "uri": str(path)},
        time={"column": "at", "first": "2023-12", "last": "2024-01"},
    )
    assert list(open_rows(ending).partitions()) == ["2023-12", "2024-01"]


def test_periods_are_those_of_the_columns_wall_clock(make_spec, path, open_rows, trips):
    path.write_text(trips.replace("2024-02-06 11:00:00", "2024-02-01T04:59:00Z"))
    columns = {
        "at": {"from": "Picked Up", "type": "time", "timezone": "America/New_York"},
        "zone": {"from": "ZoneID", "type": "integer"},
        "miles": {"from": "Trip-Miles"},
    }
    source = open_rows(make_spec({"kind": "files", "uri": str(path)}, columns=columns))
    assert list(source.partitions()) == ["2024-01"]
    assert source.read("2024-01").num_rows == 2


def test_a_period_without_rows_is_not_published(spec, open_rows):
    with pytest.raises(NotPublished, match="period 2024-03 has no rows in the file of source.uri"):
        open_rows(spec).read("2024-03")


def test_without_a_time_the_file_is_one_snapshot(make_spec, path, open_rows):
    source = open_rows(make_spec({"kind": "files", "uri": str(path)}, time={}))
    assert list(source.partitions()) == [SNAPSHOT]
    assert source.read(SNAPSHOT).num_rows == 2


def test_a_missing_file_is_an_error_and_not_an_unpublished_period(spec, path, open_rows):
    path.unlink()
    with pytest.raises(SourceError, match="the file of source.uri is missing") as caught:
        open_rows(spec).partitions()
    assert not isinstance(caught.value, NotPublished)
