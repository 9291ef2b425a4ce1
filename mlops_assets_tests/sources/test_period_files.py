"""One file a period on this machine."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.dataset import load_dataset
from mlops_assets.errors import BadTable, NotPublished, SourceError
from mlops_assets.sources.normalise import schema

TAXI_ROWS = {
    "2023-07": 61343,
    "2023-08": 60649,
    "2023-09": 65471,
    "2023-10": 66177,
    "2023-11": 64025,
    "2023-12": 64215,
    "2024-01": 56551,
    "2024-02": 53577,
}


def write_period(folder, period, **changes):
    columns = {
        "Picked Up": pa.array([f"{period}-05T10:00:00", f"{period}-06T11:00:00"]),
        "ZoneID": pa.array([3, None], pa.int32()),
        "Trip-Miles": pa.array([1.5, 2.5]),
        "kind": pa.array(["a", "b"], pa.large_string()),
        "unused": pa.array([0, 0]),
    }
    pq.write_table(pa.table(columns | changes), folder / f"trips_{period}.parquet")


@pytest.fixture
def spec(make_spec, tmp_path):
    return make_spec({"kind": "files", "uri": str(tmp_path / "trips_{period}.parquet")})


def test_the_published_taxi_periods_are_read_whole(taxi_folder, open_rows):
    spec = load_dataset("nyc_green_taxi", {}, source_uri=str(taxi_folder / "green_tripdata_{period}.parquet"))
    source = open_rows(spec)
    assert list(source.partitions()) == list(TAXI_ROWS)
    for period, rows in TAXI_ROWS.items():
        table = source.read(period)
        assert table.num_rows == rows
        assert table.schema == schema(spec)


def test_partitions_are_the_periods_with_a_file_from_the_first_to_today(spec, tmp_path, open_rows):
    for period in ("2024-03", "2024-01", "2023-12", "2024-04"):
        write_period(tmp_path, period)
    assert list(open_rows(spec).partitions()) == ["2024-01", "2024-03"]


def test_no_period_after_the_last_one_is_looked_for(make_spec, tmp_path, open_rows):
    time = {"column": "at", "first": "2024-01", "last": "2024-02"}
    spec = make_spec({"kind": "files", "uri": str(tmp_path / "trips_{period}.parquet")}, time=time)
    for period in ("2024-02", "2024-03"):
        write_period(tmp_path, period)
    assert list(open_rows(spec).partitions()) == ["2024-02"]


def test_rows_come_under_aliases_in_the_specs_order(spec, tmp_path, open_rows):
    write_period(tmp_path, "2024-01")
    table = open_rows(spec).read("2024-01")
    assert table.schema == schema(spec)
    assert table["zone"].to_pylist() == [3, None]


def test_periods_whose_types_differ_become_one_table(spec, tmp_path, open_rows):
    write_period(tmp_path, "2024-01")
    write_period(tmp_path, "2024-02", ZoneID=pa.array([3.0, float("nan")]), kind=pa.array([1, 2]))
    source = open_rows(spec)
    table = pa.concat_tables([source.read("2024-01"), source.read("2024-02")])
    assert table["zone"].to_pylist() == [3, None, 3, None]
    assert table["kind"].to_pylist() == ["a", "b", "1", "2"]


def test_a_version_follows_the_bytes_and_not_the_time_of_the_file(spec, tmp_path, open_rows):
    write_period(tmp_path, "2024-01")
    path = tmp_path / "trips_2024-01.parquet"
    first = open_rows(spec).partitions()
    os.utime(path, (1, 1))
    assert open_rows(spec).partitions() == first
    write_period(tmp_path, "2024-01", ZoneID=pa.array([3, 4], pa.int32()))
    assert open_rows(spec).partitions() != first


def test_relative_paths_start_at_the_working_directory(make_spec, tmp_path, open_rows, monkeypatch):
    write_period(tmp_path, "2024-01")
    monkeypatch.chdir(tmp_path)
    source = open_rows(make_spec({"kind": "files", "uri": "trips_{period}.parquet"}))
    assert list(source.partitions()) == ["2024-01"]
    assert source.read("2024-01").num_rows == 2


def test_a_file_url_is_a_path(make_spec, tmp_path, open_rows):
    (tmp_path / "a b").mkdir()
    write_period(tmp_path / "a b", "2024-01")
    uri = (tmp_path / "a b").as_uri() + "/trips_{period}.parquet"
    assert open_rows(make_spec({"kind": "files", "uri": uri})).read("2024-01").num_rows == 2


def test_a_period_without_a_file_is_not_published(spec, open_rows):
    source = open_rows(spec)
    assert source.partitions() == {}
    with pytest.raises(NotPublished, match="period 2024-02 is not published"):
        source.read("2024-02")


@pytest.mark.parametrize("damage", [lambda body: body[: len(body) // 2], lambda body: b"<html>", lambda body: b""])
def test_a_damaged_file_is_a_bad_table(spec, tmp_path, open_rows, damage):
    write_period(tmp_path, "2024-01")
    path = tmp_path / "trips_2024-01.parquet"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadTable, match="period 2024-01 is damaged, or is not a file of the format Parquet"):
        open_rows(spec).read("2024-01")


def test_missing_columns_are_named_by_their_aliases(spec, tmp_path, open_rows):
    pq.write_table(pa.table({"kind": ["a"], "ZoneID": [1]}), tmp_path / "trips_2024-01.parquet")
    with pytest.raises(BadTable, match="period 2024-01 has no column for at, miles: correct"):
        open_rows(spec).read("2024-01")


def test_a_folder_in_place_of_a_file_says_so(spec, tmp_path, open_rows):
    (tmp_path / "trips_2024-01.parquet").mkdir()
    with pytest.raises(SourceError, match="period 2024-01 cannot be read"):
        open_rows(spec).partitions()


def test_one_alias_more_for_the_same_column_is_read_too(make_spec, tmp_path, open_rows):
    columns = {
        "at": {"from": "Picked Up", "type": "time"},
        "zone": {"from": "ZoneID", "type": "integer"},
        "zone_name": {"from": "ZoneID", "type": "text"},
        "miles": {"from": "Trip-Miles"},
    }
    write_period(tmp_path, "2024-01")
    source = open_rows(make_spec({"kind": "files", "uri": str(tmp_path / "trips_{period}.parquet")}, columns=columns))
    assert source.read("2024-01").select(["zone", "zone_name"]).to_pylist()[0] == {
        "zone": 3,
        "zone_name": "3",
    }
