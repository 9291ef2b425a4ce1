"""`init`: tables as people have them become a YAML by which their rows are read, with reasons for what was left out."""

import io
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler
from importlib import import_module
from pathlib import Path
from unittest.mock import create_autospec

import fsspec
import pyarrow as pa
import pytest
import sqlalchemy as sa
from deltalake import write_deltalake

from mlops_assets.cli.init import try_out, write_yaml
from mlops_assets.dataset import load_dataset
from mlops_assets.errors import MlopsError
from mlops_assets.sources import open_source
from mlops_assets_tests.servers import answering

MONTHS, ROWS = 4, 70


def moments(count: int = MONTHS * ROWS) -> list[datetime]:
    return [datetime(2024, 1, 1) + timedelta(hours=10) * number for number in range(count)]


def plain(number: int) -> tuple:
    """Shop, size and price of a row."""
    return "abc"[number * 7 % 3], number * 37 % 101 / 10, round(number * 37 % 101 * 1.5 + number * 7 % 3, 2)


NAMES = ["at", "shop", "size", "price"]


def data() -> list[tuple]:
    return [(at, *plain(number)) for number, at in enumerate(moments())]


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """A web server of a folder; gives its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with answering(partial(Quiet, directory=str(folder))) as address:
        yield address


def table(form: str = "%Y-%m-%d %H:%M", delimiter: str = ",", number=str) -> str:
    lines = [delimiter.join(["Sold At", "shop", "size", "price"])]
    for place, at in enumerate(moments()):
        shop, size, price = plain(place)
        lines.append(delimiter.join([at.strftime(form), shop, number(size), number(price)]))
    return "\n".join(lines) + "\n"


@pytest.fixture
def init(tmp_path, monkeypatch):
    """The spec that a table's YAML gives, its text, and the rows of each partition."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def init(
        content: str | bytes | None,
        *,
        place: str = "sales.csv",
        target: str | None = "price",
        table=None,
        env: dict | None = None,
        out: str = "out.yaml",
    ):
        if content is not None:
            Path(place).write_bytes(content.encode() if isinstance(content, str) else content)
        write_yaml(place, table, target, Path(out))
        spec = load_dataset(out, env or {})
        source = open_source(spec, tmp_path / "cache", timeout=5, retries=0)
        rows = {partition: source.read(partition) for partition in source.partitions()}
        return spec, Path("out.yaml").read_text(), rows

    return init


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table(), []),
        (table("%d/%m/%Y %H:%M"), ["format: '%d/%m/%Y %H:%M'"]),
        (table("%y-%m-%d %H:%M"), ["format: '%y-%m-%d %H:%M'"]),
        (table(delimiter=";", number=lambda value: f"{value}".replace(".", ",")), ["delimiter: ;", "decimal: ','"]),
        (table(number=lambda value: f"${value}"), ["strip: [$]"]),
        ("# a tool\n" + table(), ["comment: '#'"]),
        ("a tool\n\n" + table(), ["skip_rows: 2"]),
        (table().replace("shop", "größe").encode("latin-1"), ["encoding: cp1252"]),
        (table().encode("utf-16"), ["encoding: utf-16"]),
        (table() + "2024-02-01 00:00,a\n", ["ragged: drop", "1 row(s) have too few or too many values"]),
        (table().replace(",3.7,", ",?,"), ["missing_values: ['?']"]),
        (table().replace(",3.7,", ",-200,"), ["missing_values: [-200.0]", "stands far from all other values"]),
    ],
)
def test_a_table_is_read_as_it_is_written(init, content, said):
    spec, text, rows = init(content)
    assert all(part in text for part in said), text
    assert spec.time.column == "sold_at" and spec.target.column == "price"
    assert list(rows) == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert sum(part.num_rows for part in rows.values()) == MONTHS * ROWS
    assert spec.features.numeric.keys() == {"size"} and spec.features.categories in (("shop",), ("grosse",))
    assert list(spec.example) == list(spec.inputs()), text


def test_what_is_no_feature_is_left_out_with_its_reason(init):
    lines = ["row_id,at,until,same,empty,note,code,size,part,other,price,in_cents"]
    for number, at in enumerate(moments()):
        _, size, price = plain(number)
        later = at + timedelta(minutes=5 + number % 7)
        note = f"{'word ' * 15}{number}"
        part = number * 13 % 29
        values = [number, at, later, 1, "", note, f"N{number}", size, part, round(price - part, 2), price, price * 100]
        lines.append(",".join(map(str, values)))
    spec, text, _ = init("\n".join(lines))
    for alias, why in {
        "row_id_value (row_id)": "an identifier: each row has its own",
        "until": "known only afterwards: it is never before at",
        "same": "it is the same in all rows",
        "empty": "it is empty",
        "note": "long texts, 78 characters on average: no category",
        "code": "nearly each row has its own: 280 values in 280 rows",
        "part": "it gives price away: part and other make it",
        "other": "it gives price away: part and other make it",
        "in_cents": "it gives price away: one rises with the other in every row",
    }.items():
        assert f"# {alias}: {why}" in text, text
    assert list(spec.features.numeric) == ["size"]


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (["yes", "no", "no"], {"kind": "binary"}),
        (["1", "0", "0"], {"kind": "binary"}),
        (["left", "stayed", "stayed"], {"kind": "binary", "positive": "left"}),
        (["a", "b", "c"], {"kind": "category", "classes": ("a", "b", "c")}),
        (["1.5", "2", "4"], {"kind": None}),
    ],
)
def test_classes_are_told_from_numbers(init, values, keys):
    lines = ["size,answer"] + [f"{plain(number)[1]},{values[number * 5 % 3]}" for number in range(200)]
    spec, text, _ = init("\n".join(lines), target="answer")
    assert {key: getattr(spec.target, key) for key in keys} == keys and list(spec.features.numeric) == ["size"]
    is_zero_or_one = values == ["1", "0", "0"]
    assert ("}  # 0/1: read as binary; write kind: number to regress it" in text) == is_zero_or_one


def test_without_a_target_the_candidates_are_listed(init, capsys):
    with pytest.raises(MlopsError, match="what shall be predicted\\? Give it by --target"):
        init(table(), target=None)
    assert "price: " in capsys.readouterr().out and not Path("out.yaml").exists()


@pytest.mark.parametrize(
    ("content", "target", "told"),
    [
        ("", "price", "the file is empty"),
        ("a,b\n", "a", "the table has no rows"),
        ("a,a\n1,2\n", "a", "2 columns are called 'a': rename one"),
        (table(), "prize", "there is no column 'prize': did you mean 'price'\\?"),
        (table(), "Sold At", "Sold At is of type time with 280 values: what is predicted is a number, or"),
        ("a,b\n" + "1,2\n2,2\n" * 9, "b", "b is the same in all rows: there is nothing to predict"),
    ],
)
def test_what_is_missing_is_told_in_one_sentence(init, content, target, told):
    with pytest.raises(MlopsError, match=told):
        init(content, target=target)
    assert not Path("out.yaml").exists()


def test_a_yaml_that_is_there_is_not_written_over(init):
    init(table())
    with pytest.raises(MlopsError, match="out.yaml exists already"):
        init(table())


def test_a_table_without_enough_periods_is_a_snapshot(init):
    lines = ["size,shop,price"] + [f"{size},{shop},{price}" for shop, size, price in map(plain, range(200))]
    spec, text, rows = init("\n".join(lines))
    assert spec.time is None and list(rows) == ["snapshot"] and "the table is one snapshot" in text


def test_days_are_taken_where_there_are_no_months(init):
    lines = ["at,size,price"]
    for number in range(10 * 96):
        _, size, price = plain(number)
        lines.append(f"{datetime(2024, 1, 1) + timedelta(minutes=15) * number},{size},{price}")
    spec, _, rows = init("\n".join(lines))
    assert (spec.time.every, spec.time.first, len(rows)) == ("day", "2024-01-01", 10)


def test_a_folder_of_files_by_period(init):
    Path("sales").mkdir()
    header, *lines = table().splitlines()
    for period in ("2024-01", "2024-02", "2024-03", "2024-04"):
        rows = [line for line in lines if line.startswith(period)]
        Path(f"sales/sales_{period}.csv").write_text("\n".join([header, *rows]))
    spec, _, rows = init(None, place="sales")
    assert spec.source.uri == "sales/sales_{period}.csv"
    assert sum(part.num_rows for part in rows.values()) == MONTHS * ROWS


def test_files_whose_names_tell_no_period_are_told(init):
    Path("parts").mkdir()
    for name in ("one", "other"):
        Path(f"parts/{name}.csv").write_text(table())
    with pytest.raises(MlopsError, match="2 files whose names differ in more than their period"):
        init(None, place="parts")


def test_a_table_of_a_database(init, tmp_path):
    with closing(sqlite3.connect("shop.db")) as database, database:
        database.execute("CREATE TABLE sales (at, shop, size, price)")
        rows = [(str(at), *plain(number)) for number, at in enumerate(moments())]
        database.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
    spec, _, rows = init(None, place="sqlite:///shop.db", table="sales")
    assert spec.source.kind == "sql" and sum(part.num_rows for part in rows.values()) == MONTHS * ROWS
    with pytest.raises(MlopsError, match="which table of the database\\? Give --table NAME"):
        init(None, place="sqlite:///shop.db")


def test_a_file_of_the_web_whose_address_holds_a_secret(init, tmp_path, monkeypatch):
    with serve_folder(tmp_path) as url:
        Path("sales.csv").write_text(table())
        _, text, rows = init(None, place=f"{url}/sales.csv")
        assert f"uri: {url}/sales.csv" in text and sum(part.num_rows for part in rows.values()) == MONTHS * ROWS
        with pytest.raises(MlopsError, match="none.csv is missing: check its address"):
            init(None, place=f"{url}/none.csv", out="none.yaml")
        Path("out.yaml").unlink()
        secret = f"{url}/sales.csv?sig=abc"
        monkeypatch.setenv("SALES_URL", secret)
        _, text, rows = init(None, place=secret, env={"SALES_URL": secret})
        assert "uri: ${SALES_URL}" in text and "sig" not in text and len(rows) == MONTHS


def test_a_pattern_in_a_store(init):
    store = fsspec.filesystem("memory")
    header, *lines = table().splitlines()
    for period in ("2024-01", "2024-02", "2024-03", "2024-04"):
        rows = [line for line in lines if line.startswith(period)]
        store.pipe_file(f"/init/sales_{period}.csv", "\n".join([header, *rows]).encode())
    spec, _, rows = init(None, place="memory://init/sales_*.csv")
    assert spec.source.uri == "memory:///init/sales_{period}.csv"
    assert sum(part.num_rows for part in rows.values()) == MONTHS * ROWS


def test_a_delta_table(init):
    write_deltalake("sales", pa.table([[*column] for column in zip(*data(), strict=True)], names=NAMES))
    spec, _, rows = init(None, place="sales")
    assert (spec.source.kind, sum(part.num_rows for part in rows.values())) == ("delta", MONTHS * ROWS)


def test_a_duckdb_file(init, tmp_path):
    engine = sa.create_engine(f"duckdb:///{tmp_path}/shop.duckdb", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE TABLE sales ("at" timestamp, shop text, size double, price double)'))
        rows = [dict(zip("abcd", row, strict=True)) for row in data()]
        connection.execute(sa.text("INSERT INTO sales VALUES (:a, :b, :c, :d)"), rows)
    spec, _, parts = init(None, place=f"duckdb:///{tmp_path}/shop.duckdb", table="sales")
    assert (spec.source.kind, sum(part.num_rows for part in parts.values())) == ("sql", MONTHS * ROWS)


@pytest.mark.parametrize(("faults", "made"), [(0, 7), (2, 2)])
def test_a_first_run_follows_where_it_is_wanted_and_doctor_finds_no_fault(monkeypatch, faults, made):
    used = {}

    def note() -> int:
        used.update(os.environ)
        return 7

    monkeypatch.setattr("os.environ", dict(os.environ) | {"MLOPS_MAX_TRIALS": "9"})
    # Commands have the names of their modules.
    doctor, run = (import_module(f"mlops_assets.cli.{name}") for name in ("doctor", "run"))
    monkeypatch.setattr(doctor, "examine", create_autospec(doctor.examine, return_value=faults))
    monkeypatch.setattr(run, "run_pipeline", create_autospec(run.run_pipeline, side_effect=note))
    assert try_out({"MLOPS_DATASET": "own.yaml"}, False) == 0 and not used
    assert try_out({"MLOPS_DATASET": "own.yaml"}, True) == made
    names = ("MLOPS_DATASET", "MLOPS_MAX_TRIALS", "MLOPS_TUNING_SECONDS")
    assert faults or [used[name] for name in names] == ["own.yaml", "9", "20"]
