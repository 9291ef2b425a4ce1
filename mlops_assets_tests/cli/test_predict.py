"""`predict`: rows of any file or query, answered in their order, streamed, and whole or not there."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from mlops_assets.core.columns import from_frame

NUMBERS = ["prediction", "low", "high"]
FLAGS = ["out_of_range", "unseen", "missing"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Sales under their aliases, with a key of the caller's beside them, of which some are missing."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"order": [f"{n:03}" for n in range(500)], "zone": rng.integers(1, 7, 500)})
    rows = rows.assign(size=rng.gamma(2, 15, 500).round(3)).astype({"zone": "Int64"})
    return rows.assign(order=rows["order"].mask(rng.random(500) < 0.05))


@pytest.fixture(scope="module")
def expected(shop, rows):
    """The champion's answers to the rows as one frame."""
    registry = shop.project().registry
    model = registry.load(registry.champion().number)
    return model.answer(from_frame(rows, model.spec))


@pytest.fixture
def small_chunks(monkeypatch):
    """So that 500 rows come in many chunks."""
    monkeypatch.setattr("mlops_assets.sources.caller_rows.CHUNK_ROWS", 70)


def read(path):
    return pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)


def assert_answered(path, rows, expected, version=2):
    table = read(path)
    assert table.num_rows == len(rows)
    assert set(table["model_version"].to_pylist()) == {version}
    for name in NUMBERS:
        np.testing.assert_allclose(table[name].to_numpy(), getattr(expected, name), rtol=0, atol=1e-9)


@pytest.mark.parametrize("given", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize("wanted", ["answer.csv", "answer.parquet"])
def test_a_file_comes_back_with_answers_and_all_that_stood_in_it(
    shop, rows, expected, tmp_path, small_chunks, given, wanted
):
    source, output = tmp_path / given, tmp_path / wanted
    rows.to_csv(source, index=False) if given.endswith("csv") else rows.to_parquet(source, index=False)
    answer = shop.command("predict", str(source), "--output", str(output))
    assert answer.code == 0, answer
    assert answer.out.startswith("500 predictions of version 2 (Ridge) are in ")
    assert_answered(output, rows, expected)
    table = read(output)
    assert table.column_names == ["zone", "size", "order", *NUMBERS, "model_version", *FLAGS]
    if given.endswith("csv") and wanted.endswith("parquet"):
        assert table["order"].to_pylist()[7] == "007"
    assert list(tmp_path.iterdir()) in ([source, output], [output, source])


def test_rows_without_an_output_are_answered_a_line_each_with_all_digits(shop, rows, expected, tmp_path):
    rows.drop(columns="order").head(20).to_json(tmp_path / "rows.json", orient="records")
    answer = shop.command("predict", str(tmp_path / "rows.json"))
    told = [json.loads(line) for line in answer.out.splitlines()]
    for name in NUMBERS:
        assert [row[name] for row in told] == pytest.approx(getattr(expected, name)[:20], abs=1e-9)
    assert {(row["unit"], row["model_type"], row["model_version"]) for row in told} == {("euros", "Ridge", 2)}


def test_flags_are_told_on_the_terminal_and_in_a_file(shop, tmp_path):
    source, output = tmp_path / "rows.json", tmp_path / "answer.csv"
    source.write_text(json.dumps([{"zone": 3, "size": 20}, {"zone": 77, "size": 1e6}]))
    plain, odd = (json.loads(line) for line in shop.command("predict", str(source)).out.splitlines())
    assert [plain[name] for name in FLAGS] == [[], [], []]
    assert [odd[name] for name in FLAGS] == [["size"], ["zone"], []]
    assert shop.command("predict", str(source), "--output", str(output)).code == 0
    table = pyarrow.csv.read_csv(output, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))
    assert table["out_of_range"].to_pylist() == [None, "size"]
    assert table["unseen"].to_pylist() == [None, "zone"]


def test_a_row_late_in_a_file_that_lacks_an_input_is_named(shop, rows, tmp_path, small_chunks):
    source = tmp_path / "rows.parquet"
    rows.assign(size=rows["size"].mask(rows.index == 400)).to_parquet(source)
    answer = shop.command("predict", str(source), "--output", str(tmp_path / "answer.csv"))
    assert answer.code == 2
    assert "row 400: size must be given: the model has not learnt from rows without it" in answer.err
    assert not (tmp_path / "answer.csv").exists()


def test_json_rows_can_be_written_too(shop, rows, expected, tmp_path):
    rows.drop(columns="order").to_json(tmp_path / "rows.json", orient="records")
    output = tmp_path / "answer.parquet"
    assert shop.command("predict", str(tmp_path / "rows.json"), "--output", str(output)).code == 0
    assert_answered(output, rows, expected)
    assert read(output).schema.field("zone").type == pa.int64()


def test_a_file_that_was_answered_before_is_answered_anew(shop, rows, expected, tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    rows.assign(prediction=-1.0, model_version=99).to_csv(first, index=False)
    assert shop.command("predict", str(first), "--output", str(second)).code == 0
    assert_answered(second, rows, expected)


def test_another_version_can_be_asked(shop, rows, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    output = tmp_path / "answer.csv"
    assert shop.command("predict", str(tmp_path / "rows.csv"), "--version", "1", "--output", str(output)).code == 0
    assert set(read(output)["model_version"].to_pylist()) == {1}


@pytest.fixture
def database(tmp_path, rows) -> str:
    """URL of a database with the rows in a table."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    rows.to_sql("orders", engine, index=False)
    return url


def test_a_query_is_answered_in_its_order_with_what_else_it_gives(
    shop, rows, expected, database, tmp_path, small_chunks
):
    output = tmp_path / "answer.parquet"
    query = "SELECT \"order\" AS key, zone, size, 'a:b' AS note FROM orders ORDER BY rowid"
    words = ("predict", "--sql", query, "--database", "ORDERS_URL", "--output", str(output))
    answer = shop.command(*words, ORDERS_URL=database)
    assert answer.code == 0, answer
    assert_answered(output, rows, expected)
    assert read(output).column_names == ["zone", "size", "key", "note", *NUMBERS, "model_version", *FLAGS]
    assert set(read(output)["note"].to_pylist()) == {"a:b"}


def test_a_query_of_postgresql_is_answered(shop, rows, expected, new_postgres, tmp_path, small_chunks):
    url = sa.make_url(new_postgres).set(drivername="postgresql+psycopg2")
    rows.assign(place=range(500)).to_sql("orders", sa.create_engine(url, poolclass=sa.NullPool), index=False)
    output = tmp_path / "answer.parquet"
    words = ("predict", "--sql", "SELECT * FROM orders ORDER BY place", "--database", "ORDERS_URL")
    answer = shop.command(*words, "--output", str(output), ORDERS_URL=new_postgres)
    assert answer.code == 0, answer
    assert_answered(output, rows, expected)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give either a file of rows or --sql with a query"),
        (["rows.csv", "--sql", "SELECT 1"], "give either a file of rows or --sql with a query"),
        (["absent.csv"], "absent.csv does not exist"),
        (["rows.csv", "--output", "answer.xlsx"], "answer.xlsx must end in .csv or .parquet"),
        (["--sql", "SELECT 1"], "the source of shop is no database: name the variable with --database"),
        (["--sql", "SELECT 1", "--database", "NOWHERE"], "the environment variable NOWHERE, which is not set"),
        (["--sql", "SELEKT", "--database", "ORDERS_URL"], "the query: the database cannot read it (OperationalError)"),
        (
            ["--sql", "SELECT zone AS region FROM orders", "--database", "ORDERS_URL"],
            "the query, rows 1 to 500: missing column(s): zone, size (needed: zone, size)",
        ),
        (
            ["--sql", "SELECT * FROM orders WHERE 1 = 0", "--database", "ORDERS_URL", "--output", "answer.csv"],
            "there is no row to predict",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_in_one_line(shop, database, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    answer = shop.command("predict", *words, ORDERS_URL=database)
    assert answer.code == 2 and len(answer.err.splitlines()) == 1, answer
    assert told in answer.err
    assert not list(tmp_path.glob("*answer*"))


def test_a_bad_row_late_in_a_file_leaves_the_last_answer_as_it_was(shop, rows, tmp_path, small_chunks):
    source, output = tmp_path / "rows.parquet", tmp_path / "answer.csv"
    output.write_text("the last answer")
    rows.assign(size=rows["size"].astype(object).where(rows.index != 400, "large").astype(str)).to_parquet(source)
    answer = shop.command("predict", str(source), "--output", str(output))
    assert answer.code == 2
    assert "rows.parquet, rows 351 to 420: column size cannot be read as number in 1 of 70 rows" in answer.err
    assert output.read_text() == "the last answer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.csv", "rows.parquet"]


def test_a_damaged_file_is_told_as_such(shop, tmp_path):
    for name in ("rows.csv", "rows.parquet", "rows.json"):
        (tmp_path / name).write_bytes(b"\x00\xff not a table\n1,2\n")
        answer = shop.command("predict", str(tmp_path / name))
        assert answer.code == 2 and f"{name} is not" in answer.err, answer


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(shop, tmp_path):
    """The process's memory at its peak, for a file and for one twenty times as long."""
    peaks = []
    for rows in (50_000, 1_000_000):
        source = tmp_path / "rows.parquet"
        with pq.ParquetWriter(source, pa.schema({"zone": pa.int64(), "size": pa.float64()})) as writer:
            batch = pa.table({"zone": np.arange(50_000) % 6, "size": np.linspace(0, 90, 50_000)})
            for _ in range(rows // 50_000):
                writer.write_table(batch)
        script = PEAK + "\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        done = shop.process("predict", str(source), "--output", str(tmp_path / "answer.parquet"), script=script)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.splitlines()[-1]))
        assert pq.read_metadata(tmp_path / "answer.parquet").num_rows == rows
    assert peaks[1] < peaks[0] + 40_000  # kilobytes; all rows with their answers are 56,000


PEAK = """
import resource
from mlops_assets.cli import app
app(standalone_mode=False)
"""
