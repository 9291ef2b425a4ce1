"""Rows of tables and queries, on SQLite, DuckDB and a real PostgreSQL."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from mlops_assets.dataset import SNAPSHOT
from mlops_assets.errors import BadTable, NotPublished, SourceError, SourceUnreachable
from mlops_assets.sources.normalise import schema

ROWS = [
    ("2024-01-05 10:00:00", 3, 1.5, "a"),
    ("2024-01-31 23:59:59.999999", None, None, None),
    ("2024-02-01 00:00:00", 4, float("inf"), "b"),
]
ZONED = {
    "at": {"from": "Picked Up", "type": "time", "timezone": "America/New_York"},
    "zone": {"from": "ZoneID", "type": "integer"},
    "miles": {"from": "Trip-Miles"},
}


@pytest.fixture
def sqlite_url(tmp_path):
    path = tmp_path / "trips.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute('CREATE TABLE "Trips 1" ("Picked Up" TEXT, "ZoneID", "Trip-Miles", kind, unused)')
        database.executemany('INSERT INTO "Trips 1" VALUES (?, ?, ?, ?, 0)', ROWS)
    return f"sqlite:///{path}"


def make_table(connection: sa.Connection) -> None:
    connection.execute(sa.text('CREATE SCHEMA "Ride"'))
    connection.execute(
        sa.text(
            'CREATE TABLE "Ride"."Trips 1" ("Picked Up" timestamp, "ZoneID" integer, "Trip-Miles" {}, kind text,'
            " moment timestamptz)".format("double" if connection.dialect.name == "duckdb" else "numeric")
        )
    )
    insert = sa.text('INSERT INTO "Ride"."Trips 1" VALUES (:a, :b, :c, :d, CAST(:a AS timestamp) AT TIME ZONE \'UTC\')')
    connection.execute(insert, [dict(zip("abcd", row, strict=True)) for row in ROWS])


@pytest.fixture
def duckdb_url(tmp_path):
    url = f"duckdb:///{tmp_path}/trips.duckdb"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        make_table(connection)
    engine.dispose()
    return url


@pytest.fixture
def postgres_url(postgres):
    """A PostgreSQL whose own zone is far from UTC."""
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(sa.text('DROP SCHEMA IF EXISTS "Ride" CASCADE'))
        make_table(connection)
        connection.execute(sa.text("ALTER DATABASE postgres SET timezone TO 'Asia/Tokyo'"))
    engine.dispose()
    return postgres


@pytest.fixture(params=["sqlite", "postgresql", "duckdb"])
def source(request) -> dict:
    """The same table in each database."""
    if request.param == "sqlite":
        return {"kind": "sql", "url": request.getfixturevalue("sqlite_url"), "table": "Trips 1"}
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "duckdb_url")
    return {"kind": "sql", "url": url, "table": "Ride.Trips 1"}


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def test_periods_and_rows_are_the_same_from_every_database(source, make_spec, open_rows):
    spec = make_spec(source)
    rows = open_rows(spec)
    assert rows.partitions() == {
        "2024-01": "2-2024-01-05T10:00:00-2024-01-31T23:59:59.999999",
        "2024-02": "1-2024-02-01T00:00:00-2024-02-01T00:00:00",
    }
    january = rows.read("2024-01")
    assert january.schema == schema(spec)
    assert january["zone"].to_pylist() == [3, None]
    assert january["miles"].to_pylist() == [1.5, None]
    assert rows.read("2024-02")["miles"].to_pylist() == [float("inf")]


def test_a_query_takes_the_place_of_a_table(source, make_spec, open_rows):
    table = ".".join(f'"{part}"' for part in source.pop("table").split("."))
    query = f"""SELECT *, ':x %' AS "what:is" FROM {table} WHERE "ZoneID" > 3 -- 12:30
    ;"""
    rows = open_rows(make_spec(source | {"query": query}))
    assert list(rows.partitions()) == ["2024-02"]
    assert rows.read("2024-02").num_rows == 1


def test_rows_in_small_chunks_are_the_same_rows(source, make_spec, open_rows):
    whole, chunked = open_rows(make_spec(source)), open_rows(make_spec(source | {"chunk_rows": 1}))
    assert whole.read("2024-01") == chunked.read("2024-01")


def test_the_order_of_rows_does_not_depend_on_how_they_were_stored(source, make_spec, open_rows):
    table = ".".join(f'"{part}"' for part in source["table"].split("."))
    rows = open_rows(make_spec(source))
    before = rows.read("2024-01")
    execute(
        source["url"],
        f'CREATE TEMPORARY TABLE kept AS SELECT * FROM {table} ORDER BY "Picked Up" DESC',
        f"DELETE FROM {table}",
        f"INSERT INTO {table} SELECT * FROM kept",
    )
    assert rows.read("2024-01") == before


def test_a_version_changes_when_rows_arrive(source, make_spec, open_rows):
    table = ".".join(f'"{part}"' for part in source["table"].split("."))
    rows = open_rows(make_spec(source))
    before = rows.partitions()
    execute(source["url"], f'INSERT INTO {table} ("Picked Up", "ZoneID") VALUES (\'2024-02-02 00:00:00\', 9)')
    after = rows.partitions()
    assert after["2024-01"] == before["2024-01"]
    assert after["2024-02"] != before["2024-02"]


def test_rows_without_a_time_belong_to_no_period(source, make_spec, open_rows):
    table = ".".join(f'"{part}"' for part in source["table"].split("."))
    rows = open_rows(make_spec(source))
    before = rows.partitions()
    execute(source["url"], f'INSERT INTO {table} ("ZoneID") VALUES (9)')
    assert rows.partitions() == before


def test_periods_outside_the_specs_range_are_left_out(source, make_spec, open_rows):
    time = {"column": "at", "first": "2023-01", "last": "2024-01"}
    assert list(open_rows(make_spec(source, time=time)).partitions()) == ["2024-01"]
    time = {"column": "at", "first": "2024-02"}
    assert list(open_rows(make_spec(source, time=time)).partitions()) == ["2024-02"]


def test_without_a_time_all_rows_are_one_snapshot(source, make_spec, open_rows):
    table = ".".join(f'"{part}"' for part in source["table"].split("."))
    rows = open_rows(make_spec(source, time={}))
    before = rows.partitions()
    assert rows.read(SNAPSHOT).num_rows == 3
    assert rows.partitions() == before and before[SNAPSHOT].startswith("3-")
    execute(source["url"], f'UPDATE {table} SET "ZoneID" = 5 WHERE "ZoneID" = 4')
    assert rows.partitions() != before


def test_a_period_without_rows_is_not_published(source, make_spec, open_rows):
    with pytest.raises(NotPublished, match="period 2024-03 has no rows in the database"):
        open_rows(make_spec(source)).read("2024-03")


def test_times_with_an_offset_belong_to_the_period_of_the_columns_wall_clock(postgres_url, make_spec, open_rows):
    source = {"kind": "sql", "url": postgres_url, "table": "Ride.Trips 1"}
    new_york = ZONED | {"at": ZONED["at"] | {"from": "moment"}}
    rows = open_rows(make_spec(source, columns=new_york))
    before = rows.partitions()
    assert list(before) == ["2024-01"]  # midnight in London is still January
    assert str(rows.read("2024-01")["at"][2]) == "2024-01-31 19:00:00"
    execute(postgres_url, 'INSERT INTO "Ride"."Trips 1" (moment) VALUES (\'2024-02-01 05:00:00Z\')')
    after = rows.partitions()
    assert (list(after), after["2024-01"]) == (["2024-01", "2024-02"], before["2024-01"])
    utc = {
        "at": {"from": "moment", "type": "time"},
        "zone": {"from": "ZoneID", "type": "integer"},
        "miles": {"from": "Trip-Miles"},
    }
    rows = open_rows(make_spec(source, columns=utc))
    assert {period: rows.read(period).num_rows for period in rows.partitions()} == {"2024-01": 2, "2024-02": 2}


def test_texts_with_an_offset_belong_to_the_period_of_the_columns_wall_clock(sqlite_url, make_spec, open_rows):
    execute(
        sqlite_url,
        'DELETE FROM "Trips 1"',
        "INSERT INTO \"Trips 1\" (\"Picked Up\") VALUES ('2024-02-01T04:59:00Z'), ('2024-02-01T05:00:00+00:00')",
    )
    rows = open_rows(make_spec({"kind": "sql", "url": sqlite_url, "table": "Trips 1"}, columns=ZONED))
    assert {period: rows.read(period).num_rows for period in rows.partitions()} == {"2024-01": 1, "2024-02": 1}


def test_a_zone_with_half_hours_splits_the_period_in_its_middle_of_an_hour(postgres_url, make_spec, open_rows):
    execute(
        postgres_url,
        'DELETE FROM "Ride"."Trips 1"',
        "INSERT INTO \"Ride\".\"Trips 1\" (moment) VALUES ('2024-01-31 18:29:00Z'), ('2024-01-31 18:30:00Z')",
    )
    india = ZONED | {"at": {"from": "moment", "type": "time", "timezone": "Asia/Kolkata"}}
    rows = open_rows(make_spec({"kind": "sql", "url": postgres_url, "table": "Ride.Trips 1"}, columns=india))
    assert {period: rows.read(period).num_rows for period in rows.partitions()} == {"2024-01": 1, "2024-02": 1}


def test_missing_columns_are_named_by_their_aliases(source, make_spec, open_rows):
    columns = ZONED | {"at": {"from": "Picked Up", "type": "time"}, "tip": {}, "toll": {"type": "text"}}
    with pytest.raises(BadTable, match="period 2024-01 has no column for tip, toll: correct"):
        open_rows(make_spec(source, columns=columns)).read("2024-01")


@pytest.mark.parametrize(("scheme", "name"), [("sqlite", "SQLite"), ("duckdb", "DuckDB")])
def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path, make_spec, open_rows, scheme, name):
    rows = open_rows(make_spec({"kind": "sql", "url": f"{scheme}:///{tmp_path}/none.db", "table": "t"}))
    with pytest.raises(SourceError, match=f"the {name} file of source.url does not exist"):
        rows.partitions()
    assert not (tmp_path / "none.db").exists()


def test_a_missing_table_says_so(source, make_spec, open_rows):
    with pytest.raises(BadTable, match=r"the list of periods: the database cannot read source.table \(\w+\)"):
        open_rows(make_spec(source | {"table": "nowhere"})).partitions()


def test_a_time_column_that_holds_numbers_says_so(sqlite_url, make_spec, open_rows):
    execute(sqlite_url, 'UPDATE "Trips 1" SET "Picked Up" = 1704067200')
    with pytest.raises(BadTable, match="column at holds values that are no times"):
        open_rows(make_spec({"kind": "sql", "url": sqlite_url, "table": "Trips 1"})).partitions()


def test_values_of_mixed_types_are_counted_under_the_alias(sqlite_url, make_spec, open_rows):
    execute(sqlite_url, 'UPDATE "Trips 1" SET "Trip-Miles" = \'far\' WHERE "ZoneID" IS NULL')
    with pytest.raises(BadTable, match="period 2024-01: column miles cannot be read as number in 1 of 3 rows"):
        open_rows(make_spec({"kind": "sql", "url": sqlite_url, "table": "Trips 1"})).read("2024-01")


def test_numbers_that_are_not_a_number_are_empty(postgres_url, make_spec, open_rows):
    execute(postgres_url, 'UPDATE "Ride"."Trips 1" SET "Trip-Miles" = \'NaN\'')
    rows = open_rows(make_spec({"kind": "sql", "url": postgres_url, "table": "Ride.Trips 1"}))
    assert rows.read("2024-01")["miles"].to_pylist() == [None, None]


def test_a_locked_sqlite_file_is_tried_again(sqlite_url, make_spec, open_rows, waits):
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        rows = open_rows(make_spec({"kind": "sql", "url": sqlite_url, "table": "Trips 1"}), timeout=0, retries=1)
        with pytest.raises(SourceUnreachable, match="the database is locked by another process"):
            rows.partitions()
    assert list(rows.partitions()) == ["2024-01", "2024-02"]


@pytest.mark.parametrize(
    ("every", "first", "found"),
    [
        ("hour", "2024-01-01T00", {"2024-01-05T10": 1, "2024-01-31T23": 1, "2024-02-01T00": 1}),
        ("day", "2024-01-01", {"2024-01-05": 1, "2024-01-31": 1, "2024-02-01": 1}),
        ("week", "2024-W01", {"2024-01-01": 1, "2024-01-29": 2}),
        ("quarter", "2024-Q1", {"2024-01": 3}),
        ("year", "2024", {"2024": 3}),
    ],
)
def test_rows_are_split_into_periods_of_every_length(source, make_spec, open_rows, every, first, found):
    rows = open_rows(make_spec(source, time={"column": "at", "every": every, "first": first}))
    assert {period: rows.read(period).num_rows for period in rows.partitions()} == found


@pytest.mark.parametrize(("every", "first"), [("day", "2024-01-01"), ("hour", "2024-01-01T00")])
def test_the_day_is_that_of_the_columns_clock(source, make_spec, open_rows, every, first):
    if source["url"].startswith("sqlite"):
        execute(source["url"], "INSERT INTO \"Trips 1\" VALUES ('2024-03-10T04:30:00Z', 1, 2.0, 'c', 0)")
        columns = ZONED
    else:
        execute(
            source["url"],
            "INSERT INTO \"Ride\".\"Trips 1\" VALUES (NULL, 1, 2.0, 'c', '2024-03-10T04:30:00Z')",
        )
        columns = ZONED | {"at": ZONED["at"] | {"from": "moment"}}
    rows = open_rows(make_spec(source, columns=columns, time={"column": "at", "every": every, "first": first}))
    newest = max(rows.partitions())
    assert newest == {"day": "2024-03-09", "hour": "2024-03-09T23"}[every]  # 23:30 in New York
    assert rows.read(newest)["zone"].to_pylist() == [1]
