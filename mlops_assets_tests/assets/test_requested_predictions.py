"""The job `predict`: what can be asked, what it leaves, and that the pipeline knows nothing of it."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import dagster as dg
import pytest
import yaml

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.requested_predictions import example_row
from mlops_assets.core.columns import from_rows
from mlops_assets.dataset import load_dataset, shipped_datasets
from mlops_assets.definitions import build_definitions
from mlops_assets.resources.artefacts.requested_predictions import FOLDER
from mlops_assets_tests.assets.conftest import QUIET, Workshop, failure_of
from mlops_assets_tests.homes import ROOT

ROWS = [{"zone": 3, "size": 16.4}, {"zone": 99, "size": 20.0}, {"zone": 3, "size": 1e6}]
KEY = dg.AssetKey("requested_predictions")


@pytest.fixture(scope="module")
def workshop(copy_shop):
    """A workshop of their own, in which all was made: they leave answers in it."""
    home = copy_shop()
    with home.instance() as instance:
        yield Workshop(home, instance)


@pytest.fixture
def predict(workshop):
    """A function that runs the job with this config of its op."""
    job = build_definitions(workshop.project).resolve_job_def("predict")

    def run(**config) -> dg.ExecuteInProcessResult:
        run_config = QUIET | {"ops": {"answer": {"config": config}}}
        return job.execute_in_process(run_config, instance=workshop.instance, raise_on_error=False)

    return run


@pytest.fixture
def answers(workshop):
    """A function that gives what a run has left, row by row."""
    store = workshop.project.requested_answers
    return lambda result: store.read(result.run_id, 0, 1000).as_rows()


@pytest.fixture
def champion(workshop):
    registry = workshop.project.registry
    return registry.load(registry.champion().number)


def numbers(answer):
    return [answer["prediction"], answer["low"], answer["high"]]


def test_rows_are_answered_as_the_champion_does(predict, answers, champion):
    found = answers(predict(rows=ROWS))
    expected = champion.answer_rows(ROWS)
    assert [numbers(row) for row in found] == [
        list(row) for row in zip(expected.prediction, expected.low, expected.high, strict=True)
    ]
    assert [(row["unseen"], row["out_of_range"]) for row in found] == [([], []), (["zone"], []), ([], ["size"])]


def test_answers_are_recorded_as_a_materialisation(predict, workshop, answers):
    result = predict(rows=ROWS)
    metadata = workshop.instance.get_latest_materialization_event(KEY).asset_materialization.metadata
    told = {name: value.value for name, value in metadata.items()}
    champion = workshop.project.registry.champion()
    assert (told["dagster/row_count"], told["model_version"]) == (3, champion.number)
    assert (told["model_type"], told["unit"]) == (champion.model_type, "euros")
    assert told["answers"] == answers(result)
    assert (workshop.project.home / told["path"]).is_file()
    assert told["read_back"] == f"GET /runs/{result.run_id}/predictions"


def test_metadata_hold_the_first_hundred_answers_and_the_file_all(predict, workshop, answers):
    result = predict(rows=[{"zone": 1, "size": size} for size in range(120)])
    metadata = workshop.instance.get_latest_materialization_event(KEY).asset_materialization.metadata
    assert len(metadata["answers"].value) == 100
    assert len(answers(result)) == 120


def test_the_pipeline_is_as_up_to_date_as_before(predict, workshop):
    predict(rows=ROWS)
    tasks = [task for tasks in Plan(workshop.instance, workshop.project).explain().values() for task in tasks]
    assert [task.name for task in tasks if task.stale] == []


def test_another_version_is_asked_by_its_number(predict, workshop, answers):
    candidate = workshop.record("sklearn_model", "Ridge").value("version")
    (found,) = answers(predict(rows=ROWS[:1], version=candidate))
    assert found["prediction"] == workshop.project.registry.load(candidate).answer_rows(ROWS[:1]).prediction[0]


def test_a_file_is_answered(predict, answers, champion, tmp_path):
    (tmp_path / "rows.csv").write_text("size,zone\n16.4,3\n20.0,99\n")
    found = answers(predict(file=str(tmp_path / "rows.csv")))
    assert [row["prediction"] for row in found] == champion.answer_rows(ROWS[:2]).prediction.tolist()


def test_a_table_is_answered_on_the_url_that_a_variable_holds(predict, answers, champion, tmp_path, monkeypatch):
    with closing(sqlite3.connect(tmp_path / "rows.db")) as database, database:
        database.execute("CREATE TABLE wanted (zone, size)")
        database.executemany("INSERT INTO wanted VALUES (?, ?)", [(3, 16.4), (99, 20.0)])
    monkeypatch.setenv("ROWS_URL", f"sqlite:///{tmp_path}/rows.db")
    monkeypatch.setenv("ROWS_TABLE", "wanted")
    expected = champion.answer_rows(ROWS[:2]).prediction.tolist()
    for named in ({"table": "wanted"}, {"table": "${ROWS_TABLE}"}, {"query": "SELECT * FROM ${ROWS_TABLE}"}):
        found = answers(predict(url_variable="ROWS_URL", **named))
        assert [row["prediction"] for row in found] == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"give exactly one of rows, file, table, query \(given: none\)"),
        ({"rows": ROWS, "file": "x.csv"}, r"give exactly one of .* \(given: rows, file\)"),
        ({"rows": [{"zone": 1, "colour": "red"}]}, "row 0: colour is not an input"),
        ({"rows": [{"zone": 1}, {"zone": 1.5}]}, "row 1: zone must be a whole number"),
        ({"rows": [ROWS[0], {"zone": 1}]}, "row 1: size must be given"),
        ({"rows": ROWS, "url_variable": "X"}, "url_variable is for a table or a query"),
        ({"table": "sales"}, "the dataset's own source is no database: give url_variable"),
        ({"table": "sales", "url_variable": "NO_SUCH"}, "the environment variable NO_SUCH is not set"),
        ({"table": "sales", "url_variable": "postgresql://me:hunter2@host/db"}, "what is named is not set"),
        ({"file": "https://me:hunter2@host/rows.csv"}, "must hold no user and no password"),
        ({"rows": ROWS, "version": 4711}, "4711"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line_and_leaves_no_answers(predict, workshop, config, message):
    before = set((workshop.project.home / FOLDER).glob("*"))
    result = predict(**config)
    assert not result.success
    told = failure_of(result)
    assert re.search(message, told), told
    assert "hunter2" not in told
    assert set((workshop.project.home / FOLDER).glob("*")) == before


def test_no_row_is_no_answer(predict, tmp_path):
    (tmp_path / "rows.csv").write_text("size,zone\n")
    assert "there is no row to predict" in failure_of(predict(file=str(tmp_path / "rows.csv")))


def test_a_key_that_the_config_does_not_have_is_named(predict):
    with pytest.raises(dg.DagsterInvalidConfigError, match='unexpected config entry "rowz"'):
        predict(rowz=ROWS)


def test_launched_as_it_is_it_answers_the_row_of_the_launchpad(workshop, answers):
    job = build_definitions(workshop.project).resolve_job_def("predict")
    (answer,) = answers(job.execute_in_process(QUIET, instance=workshop.instance))
    assert answer["inputs"] == example_row(workshop.project.spec)


def test_a_home_without_a_champion_says_so(new_workshop):
    workshop = new_workshop()
    job = build_definitions(workshop.project).resolve_job_def("predict")
    result = job.execute_in_process(QUIET, instance=workshop.instance, raise_on_error=False)
    assert failure_of(result).startswith("shop has no champion yet")


@pytest.mark.parametrize("name", shipped_datasets())
def test_the_row_of_the_launchpad_has_every_input_with_a_value_of_its_type(name):
    spec = load_dataset(name, {})
    row = example_row(spec)
    assert list(row) == list(spec.inputs()) and None not in row.values()
    from_rows([row], spec)


def test_the_job_runs_from_a_config_file(own_shop, tmp_path):
    config = tmp_path / "rows.yaml"
    config.write_text(yaml.safe_dump({"ops": {"answer": {"config": {"rows": ROWS}}}}))
    env = (
        os.environ | own_shop.env | {"DAGSTER_HOME": str(own_shop.project().home / "dagster"), "PYTHONPATH": str(ROOT)}
    )
    words = ["job", "execute", "-m", "mlops_assets.definitions", "-j", "predict", "-c", str(config)]
    done = subprocess.run([sys.executable, "-m", "dagster", *words], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 answers of version" in done.stderr
