"""Parquet and CSV, plain and packed."""

import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.dataset import Dialect
from mlops_assets.errors import BadTable, SpecError
from mlops_assets.sources import formats
from mlops_assets.sources.formats import Format, format_of, read_rows, stream_rows

CSV = "Picked Up,ZoneID,Trip-Miles,kind\n2024-01-05 10:00:00,3,1.5,a\n2024-02-06 11:00:00,4,2.5,b\n"


@pytest.fixture
def spec(make_spec):
    return make_spec({"kind": "files", "uri": "trips.csv"})


def zipped(**files: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return body.getvalue()


def parquet() -> bytes:
    body = io.BytesIO()
    pq.write_table(
        pa.table({"Picked Up": ["2024-01-05 10:00:00"], "ZoneID": [3], "Trip-Miles": [1.5], "kind": ["a"]}),
        body,
    )
    return body.getvalue()


def read(body: bytes, form: Format, spec) -> list[dict]:
    return read_rows(io.BytesIO(body), form, spec, "period 2024-01").to_pylist()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("trips.parquet", Format("parquet")),
        ("https://x.org/trips.CSV?token=a.parquet", Format("csv")),
        ("trips_{period}.csv.gz", Format("csv", packed="gz")),
        ("s3://bucket/trips.csv.zip", Format("csv", packed="zip")),
    ],
)
def test_the_ending_of_a_name_tells_the_format(make_spec, name, form):
    assert format_of(make_spec({"kind": "files", "uri": name}).source, name) == form


def test_a_stated_format_wins_over_the_ending(make_spec):
    source = make_spec({"kind": "files", "uri": "x", "format": "csv", "delimiter": ";"}).source
    assert format_of(source, "trips.zip") == Format("csv", Dialect(delimiter=";"), "zip")


def test_a_name_that_tells_nothing_asks_for_the_format(make_spec):
    with pytest.raises(SpecError, match="set source.format"):
        format_of(make_spec({"kind": "files", "uri": "trips"}).source, "trips")


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (CSV.encode(), Format("csv")),
        (b"\xef\xbb\xbf" + CSV.encode(), Format("csv")),
        (CSV.replace(",", ";").encode(), Format("csv", Dialect(delimiter=";"))),
        (gzip.compress(CSV.encode()), Format("csv", packed="gz")),
        (zipped(trips=CSV.encode()), Format("csv", packed="zip")),
        (parquet(), Format("parquet")),
        (gzip.compress(parquet()), Format("parquet", packed="gz")),
        (zipped(trips=parquet()), Format("parquet", packed="zip")),
    ],
    ids=["plain", "byte order mark", "semicolons", "gz", "zip", "parquet", "parquet gz", "parquet zip"],
)
def test_every_form_of_a_file_gives_the_same_rows(spec, body, form):
    row = read(body, form, spec)[0]
    assert (str(row["at"]), row["zone"], row["miles"], row["kind"]) == ("2024-01-05 10:00:00", 3, 1.5, "a")


@pytest.mark.parametrize("form", [Format("csv"), Format("csv", packed="gz"), Format("csv", packed="zip")])
def test_whole_numbers_written_with_a_point_are_integers_in_a_csv(spec, form):
    text = CSV.replace(",3,", ",3.0,").replace(",4,", ",NA,").encode()
    body = {None: text, "gz": gzip.compress(text), "zip": zipped(trips=text)}[form.packed]
    assert [row["zone"] for row in read(body, form, spec)] == [3, None]


def test_texts_of_a_csv_stay_texts(spec):
    rows = read(CSV.replace(",a\n", ",007\n").replace(",b\n", ",NA\n").encode(), Format("csv"), spec)
    assert [row["kind"] for row in rows] == ["007", "NA"]


def test_unreadable_values_of_a_csv_are_counted_under_the_alias(spec):
    with pytest.raises(BadTable, match="period 2024-01: column miles cannot be read as number in 1 of 2 rows"):
        read(CSV.replace("2.5", "far").encode(), Format("csv"), spec)


def test_missing_columns_of_a_csv_are_named_by_their_aliases(spec):
    with pytest.raises(BadTable, match="period 2024-01 has no column for at, miles: correct"):
        read(b"ZoneID,kind\n1,a\n", Format("csv"), spec)


def test_a_csv_of_a_header_alone_has_no_rows(spec):
    assert read(CSV.splitlines()[0].encode() + b"\n", Format("csv"), spec) == []


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (gzip.compress(CSV.encode())[:40], Format("csv", packed="gz")),
        (CSV.encode(), Format("csv", packed="gz")),
        (zipped(trips=CSV.encode())[:60], Format("csv", packed="zip")),
        (
            zipped(trips=CSV.encode())[:40] + b"?" * 9 + zipped(trips=CSV.encode())[49:],
            Format("csv", packed="zip"),
        ),
    ],
    ids=["cut gz", "no gz", "cut zip", "changed zip"],
)
def test_a_damaged_file_names_the_format_that_was_expected(spec, body, form):
    with pytest.raises(BadTable, match=r"period 2024-01 is damaged, or is not a file of the format UTF-8 CSV"):
        read(body, form, spec)


def test_a_zip_of_several_files_is_refused(spec):
    with pytest.raises(BadTable, match="period 2024-01 is a .zip of 2 files: it must hold one"):
        read(zipped(a=b"1", b=b"2"), Format("csv", packed="zip"), spec)


def in_groups(*zones) -> io.BytesIO:
    """A Parquet file in which each zone is a row group."""
    body = io.BytesIO()
    tables = [
        pa.table({"Picked Up": ["2024-01-05"], "ZoneID": [zone], "Trip-Miles": [1.5], "kind": ["a"]}) for zone in zones
    ]
    with pq.ParquetWriter(body, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    body.seek(0)
    return body


def test_a_stream_of_a_parquet_file_gives_the_rows_of_the_whole_in_parts(spec, monkeypatch):
    monkeypatch.setattr(formats, "STREAM_ROWS", 1)
    parts = list(stream_rows(in_groups("3", "4", "5"), Format("parquet"), spec, "period 2024-01"))
    assert [part.num_rows for part in parts] == [1, 1, 1]
    assert pa.concat_tables(parts).equals(
        read_rows(in_groups("3", "4", "5"), Format("parquet"), spec, "period 2024-01")
    )


def test_a_stream_counts_what_cannot_be_read_over_the_whole_file(spec, monkeypatch):
    monkeypatch.setattr(formats, "STREAM_ROWS", 1)
    with pytest.raises(BadTable, match="cannot be read as integer in 2 of 3 rows"):
        list(stream_rows(in_groups("3", "x", "y"), Format("parquet"), spec, "period 2024-01"))


def test_a_stream_of_a_damaged_file_is_told(spec):
    with pytest.raises(BadTable, match="period 2024-01 is damaged"):
        list(stream_rows(io.BytesIO(parquet()[:-10]), Format("parquet"), spec, "period 2024-01"))
