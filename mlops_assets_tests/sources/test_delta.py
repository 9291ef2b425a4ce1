"""Delta tables: their newest version, split into periods, and what is told where there is none."""

import sys
from datetime import datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from mlops_assets.errors import BadTable, SourceError
from mlops_assets.sources.normalise import schema


def trips(*times: str) -> pa.Table:
    return pa.table(
        {
            "Picked Up": [datetime.fromisoformat(time) for time in times],
            "ZoneID": pa.array(range(len(times)), pa.int32()),
            "Trip-Miles": [1.5] * len(times),
            "kind": ["a"] * len(times),
            "unused": [0] * len(times),
        }
    )


@pytest.fixture
def table(tmp_path):
    """The path of a table of two months."""
    path = str(tmp_path / "trips")
    write_deltalake(path, trips("2024-01-05 10:00", "2024-02-06 11:00", "2024-02-07 12:00"))
    return path


def test_the_newest_version_is_read_by_period(table, make_spec, open_rows):
    spec = make_spec({"kind": "delta", "uri": table})
    rows = open_rows(spec)
    before = rows.partitions()
    assert list(before) == ["2024-01", "2024-02"]
    assert rows.read("2024-02").schema == schema(spec) and rows.read("2024-02")["zone"].to_pylist() == [1, 2]
    write_deltalake(table, trips("2024-02-08 00:00"), mode="append")
    after = rows.partitions()
    assert after["2024-01"] == before["2024-01"] and after["2024-02"] != before["2024-02"]
    assert rows.read("2024-02").num_rows == 3


def test_what_cannot_be_read_is_told(table, tmp_path, make_spec, open_rows, monkeypatch):
    with pytest.raises(SourceError, match=r"the Delta table of source.uri is not there: correct source.uri"):
        open_rows(make_spec({"kind": "delta", "uri": str(tmp_path / "none")})).partitions()
    columns = {"at": {"from": "Picked Up", "type": "time"}, "zone": {"from": "zoneid", "type": "integer"}, "x": {}}
    with pytest.raises(BadTable, match=r"no column for x, zone \(zone: did you mean 'ZoneID'\?\)"):
        open_rows(make_spec({"kind": "delta", "uri": table}, columns=columns)).partitions()
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(SourceError, match=r"pip install 'mlops-assets\[delta\]'"):
        open_rows(make_spec({"kind": "delta", "uri": table})).partitions()
