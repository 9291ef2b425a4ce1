"""Partitions of periods: Dagster's own, for every length, by the clock of the dataset."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mlops_assets.assets.entry import period_partitions
from mlops_assets_tests.homes import SHOP, write_yaml


@pytest.fixture
def keys(tmp_path, new_home):
    """The partitions at some time, of a shop whose time has some keys."""

    def partitions(now: datetime, zone: str | None = None, **time) -> list[str]:
        columns = SHOP["columns"] | ({"at": {"type": "time", "timezone": zone}} if zone else {})
        source = {"kind": "files", "uri": "sales_{period}.csv"}
        document = SHOP | {"columns": columns, "time": {"column": "at"} | time, "source": source}
        home = new_home(MLOPS_DATASET=write_yaml(tmp_path / "shop.yaml", document))
        return period_partitions(home.project()).get_partition_keys(current_time=now.astimezone(ZoneInfo("UTC")))

    return partitions


@pytest.mark.parametrize(
    ("every", "first", "partitions"),
    [
        ("hour", "2024-03-31T21", ["2024-03-31T21", "2024-03-31T22", "2024-03-31T23", "2024-04-01T00"]),
        ("day", "2024-03-29", ["2024-03-29", "2024-03-30", "2024-03-31"]),
        ("week", "2024-W12", ["2024-03-18", "2024-03-25"]),
        ("month", "2024-02", ["2024-02", "2024-03"]),
        ("quarter", "2023-Q4", ["2023-10", "2024-01"]),
        ("year", "2022", ["2022", "2023"]),
    ],
)
def test_partitions_end_at_the_newest_period_that_is_over(keys, every, first, partitions):
    assert keys(datetime(2024, 4, 1, 1, 30, tzinfo=ZoneInfo("UTC")), every=every, first=first) == partitions


def test_partitions_end_with_the_data_where_it_does(keys):
    now = datetime(2024, 12, 1, tzinfo=ZoneInfo("UTC"))
    assert keys(now, every="week", first="2024-W01", last="2024-W02") == ["2024-01-01", "2024-01-08"]


@pytest.mark.parametrize(
    ("zone", "over"), [("Pacific/Kiritimati", "2024-06-02"), ("UTC", "2024-06-01"), ("America/New_York", "2024-05-31")]
)
def test_a_day_is_over_when_the_clock_of_its_column_says_so(keys, zone, over):
    now = datetime(2024, 6, 2, 11, tzinfo=ZoneInfo("UTC"))  # 01:00 of the third, 11:00 of the second, 07:00 of it
    if zone == "America/New_York":
        now = now.replace(hour=3)  # 23:00 of the first
    assert keys(now, zone, every="day", first="2024-05-30")[-1] == over


def test_days_with_23_and_25_hours_are_days(keys):
    now = datetime(2024, 12, 1, tzinfo=ZoneInfo("UTC"))
    spring = keys(now, "Europe/Berlin", every="day", first="2024-03-30", last="2024-04-01")
    autumn = keys(now, "Europe/Berlin", every="day", first="2024-10-26", last="2024-10-28")
    assert (spring, autumn) == (["2024-03-30", "2024-03-31", "2024-04-01"], ["2024-10-26", "2024-10-27", "2024-10-28"])


def test_an_hour_that_no_clock_shows_is_no_partition_and_one_shown_twice_has_its_name_once(keys):
    now = datetime(2024, 12, 1, tzinfo=ZoneInfo("UTC"))
    spring = keys(now, "Europe/Berlin", every="hour", first="2024-03-31T01", last="2024-03-31T03")
    assert spring == ["2024-03-31T01", "2024-03-31T03"]
    autumn = keys(now, "Europe/Berlin", every="hour", first="2024-10-27T01", last="2024-10-27T03")
    assert [key for key in autumn if len(key) == 13] == ["2024-10-27T01", "2024-10-27T02", "2024-10-27T03"]


def test_a_time_without_a_zone_goes_by_the_clock_of_the_schedules(keys, tmp_path, new_home):
    source = {"kind": "files", "uri": "sales_{period}.csv"}
    time = {"column": "at", "every": "day", "first": "2024-05-30"}
    path = write_yaml(tmp_path / "shop.yaml", SHOP | {"time": time, "source": source})
    project = new_home(MLOPS_DATASET=path, MLOPS_TIMEZONE="Asia/Tokyo").project()
    now = datetime(2024, 6, 1, 15, 30, tzinfo=ZoneInfo("UTC"))
    assert period_partitions(project).get_partition_keys(current_time=now)[-1] == "2024-06-01"
