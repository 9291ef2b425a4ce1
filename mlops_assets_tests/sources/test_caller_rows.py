"""Rows that a caller names: files by path or URL, tables and queries, and what is said of those that are none."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from mlops_assets.core.columns import concatenate
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import BadTable, InputError, SourceError, SourceUnreachable
from mlops_assets.sources import caller_rows
from mlops_assets.sources.caller_rows import LABEL, ChunkReader, rows_of_file, stream_query, stream_table
from mlops_assets.sources.database import Database
from mlops_assets.sources.retries import Retry

ROWS = [
    {"at": "2024-01-05T10:00:00", "code": "007", "zone": 3, "size": 1.5},
    {"at": "2024-02-06T11:30:00", "code": "NA", "zone": None, "size": None},
    {"at": None, "code": None, "zone": 5, "size": 2.0},
]
SPEC = {
    "name": "given",
    "source": {"kind": "files", "uri": "x.csv"},
    "columns": {
        "at": {"from": "Sold At", "type": "time"},
        "code": {"from": "Code", "type": "text"},
        "zone": {"from": "Zone", "type": "integer"},
        "size": {"from": "Size"},
        "price": {"from": "Price"},
    },
    "target": {"column": "price"},
    "features": {"categorical": ["code", "zone"], "numeric": {"size": {}}, "calendar": {"at": {"parts": ["hour"]}}},
}


@pytest.fixture
def spec():
    return DatasetSpec.model_validate(SPEC)


@pytest.fixture
def reader(spec):
    return ChunkReader(spec, {alias: spec.source_name(alias) for alias in spec.inputs()})


@pytest.fixture
def chunks_of(spec, reader, tmp_path):
    """A function that gives the chunks of a file, as columns."""

    def read(uri):
        return [
            chunk.columns for chunk in rows_of_file(str(uri), reader, spec, tmp_path / "cache", timeout=5, retries=0)
        ]

    return read


@pytest.fixture
def read(chunks_of):
    """The same as one."""
    return lambda uri: concatenate(chunks_of(uri))


def assert_are_the_rows(columns):
    assert columns["at"].astype(str).tolist() == ["2024-01-05T10:00:00.000000", "2024-02-06T11:30:00.000000", "NaT"]
    assert columns["code"].tolist() == ["007", "NA", None]
    assert np.array_equal(columns["zone"], [3, np.nan, 5], equal_nan=True)
    assert np.array_equal(columns["size"], [1.5, np.nan, 2.0], equal_nan=True)


def write(path):
    frame = pd.DataFrame(ROWS)
    if path.suffix == ".json":
        frame.to_json(path, orient="records")
    elif path.suffix == ".csv":
        frame.assign(unused=1).to_csv(path, index=False)
    else:
        times = pa.array(pd.to_datetime(frame["at"]))
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table.set_column(0, "at", times).append_column("unused", times), path)
    return path


@pytest.mark.parametrize("name", ["rows.json", "rows.csv", "rows.parquet", "ROWS.CSV"])
def test_a_file_gives_its_rows_in_order(read, tmp_path, name):
    assert_are_the_rows(read(write(tmp_path / name.lower()).rename(tmp_path / name)))


def test_one_object_is_one_row(read, tmp_path):
    (tmp_path / "row.json").write_text('{"zone": 3}')
    columns = read(tmp_path / "row.json")
    assert columns["zone"].tolist() == [3] and columns["code"].tolist() == [None]


def test_a_large_file_is_read_in_chunks(chunks_of, tmp_path, monkeypatch):
    monkeypatch.setattr(caller_rows, "CHUNK_ROWS", 2)
    chunks = chunks_of(write(tmp_path / "rows.parquet"))
    assert [len(chunk["zone"]) for chunk in chunks] == [2, 1]
    assert_are_the_rows(concatenate(chunks))


def test_the_names_of_the_source_are_taken_too(read, tmp_path):
    names = {"at": "Sold At", "code": "Code", "size": "Size"}
    pd.DataFrame(ROWS).rename(columns=names).to_csv(tmp_path / "rows.csv", index=False)
    assert_are_the_rows(read(tmp_path / "rows.csv"))


def test_a_url_is_read_like_a_path(read, web, tmp_path):
    web.serve("/rows.json?day=1", {"body": write(tmp_path / "rows.json").read_bytes()})
    assert_are_the_rows(read(f"{web.url}/rows.json?day=1"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.json", "[1, 2]", "must hold an object, or a list of objects"),
        ("rows.json", '[{"zone": 1, "colour": 2}]', "row 0: colour is not an input"),
        ("rows.json", '{"zone": 1', "the file of rows is not JSON"),
        ("rows.csv", "zone,size\n1,2\n", r"the file of rows, rows 1 to 1: missing column\(s\): at, code"),
        ("rows.csv", "", "is not a .csv table"),
        ("rows.csv", "at,code\n1,2\n3,4,hunter2\n", "Expected 2 columns, got 3$"),
        ("rows.parquet", "no parquet", "is not a .parquet table"),
        ("rows.txt", "zone", "must end in .json, .csv or .parquet"),
    ],
)
def test_a_file_that_is_no_such_rows_says_why(read, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path / name)
    assert error.value.__cause__ is None and error.value.__context__ is None


def test_a_value_of_another_type_is_counted(read, tmp_path):
    (tmp_path / "rows.csv").write_text("at,code,zone,size\n2024-01-01,a,x,1\n2024-01-01,a,1,1\n")
    with pytest.raises(BadTable, match="column zone cannot be read as integer in 1 of 2 rows"):
        read(tmp_path / "rows.csv")


def test_a_file_that_is_not_there_is_told(read, tmp_path):
    with pytest.raises(SourceError, match="the file of rows is missing"):
        read(tmp_path / "no.csv")


def test_a_url_with_a_password_is_refused_before_it_is_asked(read):
    with pytest.raises(InputError, match="no user and no password") as error:
        read("https://me:hunter2@127.0.0.1:1/rows.csv")
    assert "hunter2" not in str(error.value)


# Tables and queries


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database with the rows under their real names, in a table `Zq Sales`."""
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "rows.db")):
            pass
    else:
        url = request.getfixturevalue("new_postgres")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'CREATE TABLE "Zq Sales" ("Sold At" TIMESTAMP, "Code" TEXT, "Zone" INTEGER, "Size" FLOAT)'
        )
        insert = sa.text('INSERT INTO "Zq Sales" VALUES (:at, :code, :zone, :size)')
        connection.execute(insert, ROWS)
    return url


def opened(url):
    return Database(url, 5, Retry(0), "the variable PLACE")


def columns_of(reader, tables):
    return [chunk.columns for chunk in reader.tables(tables, LABEL)]


def test_a_table_gives_the_columns_under_the_names_of_the_source(reader, url):
    assert_are_the_rows(concatenate(columns_of(reader, stream_table(opened(url), "Zq Sales", 100))))


def test_a_query_gives_its_rows_in_its_own_order_and_in_chunks(reader, url):
    text = """SELECT "Sold At" AS at, "Code" AS code, "Zone", "Size" AS size FROM "Zq Sales"
              WHERE "Code" IS NOT NULL ORDER BY "Code" DESC;"""
    chunks = columns_of(reader, stream_query(opened(url), text, 1))
    assert [chunk["code"].tolist() for chunk in chunks] == [["NA"], ["007"]]


def test_no_row_is_no_chunk(reader, url):
    assert columns_of(reader, stream_query(opened(url), 'SELECT * FROM "Zq Sales" WHERE 1 = 0', 100)) == []


def test_what_is_missing_is_named_by_alias_and_nothing_else_is_named(reader, url):
    with pytest.raises(InputError, match=r"^the query, rows 1 to 3: missing column\(s\): size ") as error:
        columns_of(reader, stream_query(opened(url), 'SELECT "Sold At", "Code", "Zone" AS zone FROM "Zq Sales"', 100))
    with pytest.raises(BadTable, match="the query: the database cannot read it") as other:
        columns_of(reader, stream_table(opened(url), "Zq Nothing", 100))
    assert "Zq" not in str(error.value) + str(other.value)
    assert other.value.__context__ is None


def test_a_database_that_is_not_there_is_called_by_its_variable(reader, tmp_path):
    with pytest.raises(SourceError, match="SQLite file of the variable PLACE does not exist"):
        columns_of(reader, stream_table(opened(f"sqlite:///{tmp_path}/none.db"), "sales", 100))
    with pytest.raises(SourceError, match="^the variable PLACE is no SQLAlchemy URL"):
        columns_of(reader, stream_table(opened("hunter2"), "sales", 100))
    with pytest.raises(SourceUnreachable, match="that the variable PLACE is right") as error:
        columns_of(reader, stream_table(opened("postgresql://me:hunter2@127.0.0.1:1/sales"), "sales", 100))
    assert "hunter2" not in str(error.value)


def test_a_connection_that_breaks_off_in_between_is_told(reader, new_postgres):
    text = """SELECT NULL::timestamp AS at, '' AS code, n AS zone,
              CASE WHEN n = 50000 THEN pg_terminate_backend(pg_backend_pid())::int ELSE 1.5 END AS size
              FROM generate_series(1, 100000) AS n"""
    with pytest.raises(SourceUnreachable, match="the query: the database broke off the connection"):
        columns_of(reader, stream_query(opened(new_postgres), text, 1000))
