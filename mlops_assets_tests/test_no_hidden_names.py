"""What the environment gave for ${NAME} is written nowhere: no file of the home folder holds it, and no output."""

import json
import sqlite3
import zipfile
from contextlib import closing

import pytest

from mlops_assets_tests.homes import Answer, write_yaml

HIDDEN = {
    "AT": "Zq_Sold_At",
    "ZONE": "Zq_District",
    "SIZE": "Zq_Square_Feet",
    "PRICE": "Zq_Paid",
    "TABLE": "Zq_Secret_Sales",
    "CITY": "Zq_Springfield",
}
DATASET = {
    "name": "deals",
    "description": "Prices in ${CITY}.",
    "source": {"kind": "sql", "url": "${URL}", "table": "${TABLE}"},
    "columns": {
        "at": {"from": "${AT}", "type": "time"},
        "town": {"type": "text"},
        "zone": {"from": "${ZONE}", "type": "integer"},
        "size": {"from": "${SIZE}"},
        "price": {"from": "${PRICE}"},
    },
    "time": {"column": "at", "first": "2024-01", "last": "2024-06"},
    "target": {"column": "price", "keep": [1, 1000]},
    "rows": [{"name": "not ${CITY}", "column": "town", "none_of": ["${CITY}"]}],
    "features": {"categorical": ["zone"], "numeric": {"size": {}}},
}

# Answers each of the configurations, and tells how the runs ended.
PREDICT = """
import json, os
from mlops_assets.instance import open_instance
from mlops_assets.definitions import build_definitions
from mlops_assets.project import open_project
project = open_project()
job = build_definitions(project).resolve_job_def("predict")
with open_instance(project) as instance:
    for asked in json.loads(os.environ["CONFIGS"]):
        config = {"ops": {"answer": {"config": asked}}}
        done = job.execute_in_process(config, instance=instance, raise_on_error=False)
        print("answered" if done.success else "refused")
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A SQLite database with three periods of 200 deals, every tenth of them in the hidden city."""
    path = tmp_path_factory.mktemp("warehouse") / "Zq_warehouse.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE {HIDDEN['TABLE']} (Zq_Sold_At, town, Zq_District, Zq_Square_Feet, Zq_Paid)")
        for period in (1, 2, 3):
            for i in range(200):
                town = HIDDEN["CITY"] if i % 10 == 0 else "Ayton"
                row = (f"2024-{period:02}-{1 + i % 28:02} 10:00:00", town, i % 5, float(i), 10.0 + i * (1 + i % 5))
                database.execute(f"INSERT INTO {HIDDEN['TABLE']} VALUES (?, ?, ?, ?, ?)", row)
    return path


@pytest.fixture(scope="module")
def deals(new_home, warehouse):
    home = new_home(MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="2", MLOPS_HTTP_RETRIES="0")
    home.env |= HIDDEN | {"URL": f"sqlite:///{warehouse}"}
    home.env["MLOPS_DATASET"] = write_yaml(home.folder / "deals.yaml", DATASET)
    return home


def every_file(folder):
    """Bytes of each file by its path, and of the members of packed ones; raw rows are values, not names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name != "raw_data":
            yield path, path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as packed:
                    yield from ((path / name, packed.read(name)) for name in packed.namelist())


def assert_nothing_is_told(home, answers):
    told = [answer for answer in answers if "zq_" in (answer.out + answer.err).lower()]
    assert not told
    assert [path for path, data in every_file(home.folder) if b"zq_" in data.lower()] == []
    raw = home.project().storage.read_table(home.record("raw_data", "2024-01").path)
    assert set(raw.column_names) == set(DATASET["columns"])


def test_a_pipeline_that_works_writes_no_hidden_name(deals, tmp_path):
    row = tmp_path / "row.json"
    row.write_text('{"zone": 1, "size": 20}')
    backtest = ["backtest", "--start", "2", "--policy", "drift", "--policy", "gate"]
    commands = (["run"], ["run"], backtest, ["why", "all"], ["predict", str(row)], ["history"], ["doctor"])
    answers = [deals.command(*words) for words in commands]
    assert [answer.code for answer in answers] == [0] * len(commands), answers
    assert deals.record("clean_data", "2024-01").value("dropped_by_rule")["not ${CITY}"] == 20
    assert "dropped: not ${CITY}" in deals.record("drift_report", "2024-03").value("drift")
    kept = {path.name for path, _ in every_file(deals.folder)}
    assert {"explanation.json", "importance.svg", "model_card.md", "model_card.html", "journal.jsonl"} <= kept
    assert_nothing_is_told(deals, answers)


def test_predictions_of_a_hidden_table_write_no_hidden_name(deals):
    """Launched as from the Launchpad; what is wrong is told by the names of variables."""
    deals.command("run")
    asked = ({"table": "${TABLE}"}, {"query": "SELECT * FROM ${TABLE} WHERE ${ZONE} = 1"})
    wrong = ({"table": "${TABLE}", "url_variable": "TABLE"}, {"query": "SELECT ${ZONE} FROM ${TABLE}"})
    wrong += ({"query": "SELECT * FROM ${CITY}"}, {"table": "${TABLE}", "url_variable": "ELSEWHERE"})
    done = deals.process(script=PREDICT, CONFIGS=json.dumps([*asked, *wrong]))
    assert done.stdout.split() == ["answered"] * len(asked) + ["refused"] * len(wrong), done
    assert_nothing_is_told(deals, [Answer(done.returncode, done.stdout, done.stderr)])


def test_a_changed_hidden_value_is_noticed_and_not_told(deals):
    deals.command("run")
    told = deals.command("why", "clean_data", CITY="Zq_Shelbyville")
    assert "values from the environment changed" in told.out
    assert "Zq_" not in told.out + told.err


def test_failures_write_no_hidden_name(deals, warehouse):
    deals.command("run")
    with closing(sqlite3.connect(warehouse)) as database, database:
        database.execute(f"INSERT INTO {HIDDEN['TABLE']} VALUES ('2024-04-01 10:00:00', 'Ayton', 'far', 'wide', 'no')")
    try:
        answers = [deals.command("run")]
    finally:
        with closing(sqlite3.connect(warehouse)) as database, database:
            database.execute(f"DELETE FROM {HIDDEN['TABLE']} WHERE Zq_Sold_At >= '2024-04'")
    assert "raw_data[2024-04] failed: period 2024-04: " in answers[0].out
    wrong = ({"ZONE": "Zq_Missing"}, {"AT": "Zq_Missing"}, {"TABLE": "Zq_Missing"}, {"URL": "Zq_nonsense"})
    wrong += ({"URL": "sqlite:////no/Zq.db"}, {"URL": "postgresql://Zq_me:Zq_word@127.0.0.1:1/Zq"})
    answers += [deals.command("run", **settings) for settings in wrong]
    assert 0 not in [answer.code for answer in answers]
    answers += [deals.command("doctor", **settings) for settings in wrong]
    assert_nothing_is_told(deals, answers)
