"""The launch API as its page documents it: every curl of docs/api.md, and our own client, against real servers."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests
from dagster_shared.yaml_utils import load_run_config_yaml

from mlops_assets.errors import LaunchError
from mlops_assets.resources.dagster_client import LaunchClient
from mlops_assets.run_tags import STARTED_BY
from mlops_assets_tests.browser import open_uis, wait_for
from mlops_assets_tests.documents import ROOT, blocks
from mlops_assets_tests.homes import copy_dataset
from mlops_assets_tests.servers import free_port
from mlops_assets_tests.serving.served import serving

PREDICT, RETRAIN, TUNE, STATUS, EVENTS, ANSWERS, PAGE = blocks(ROOT / "docs" / "api.md", "bash")
UNKNOWN = "0f8fad5b-d9cb-469f-a165-70867728950e"
FLIGHT = {"departure_at": "2013-03-06T08:00", "scheduled_departure": 800, "scheduled_arrival": 1110, "carrier": "UA"}
FLIGHT |= {"origin": "EWR", "destination": "SFO", "distance": 2565}
WHY = "row 0: distance must be a number: 'far' is not one"


@pytest.fixture(scope="module")
def home(new_home):
    """A home of three months of flights in which everything was made."""
    home = new_home(MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="2", MLOPS_TUNING_ROWS="5000")
    time = {"column": "departure_at", "first": "2013-01", "last": "2013-03"}
    copy_dataset(home, "nyc_flights", time=time, window={"train_periods": 1})
    answer = home.command("run")
    assert answer.code == 0, answer
    return home


@pytest.fixture(scope="module")
def dagster(home):
    """Address of a webserver with its daemon."""
    with open_uis(home.env, home.folder / "dev.log") as uis:
        home.env["MLOPS_DAGSTER_URL"] = uis.dagster
        yield uis.dagster


@pytest.fixture(scope="module")
def served(home, dagster):
    with serving(home) as served:
        yield served


@pytest.fixture(scope="module")
def backend(served):
    return served.url


@pytest.fixture(scope="module")
def curl(dagster, backend):
    """A function that runs a block of the page as it stands, but for the ports."""

    def run(block: str, run_id: str = "") -> dict:
        for documented, real in (("http://127.0.0.1:3000", dagster), ("http://127.0.0.1:8000", backend)):
            block = block.replace(documented, real)
        done = subprocess.run(["bash", "-euc", block], env=os.environ | {"RUN": run_id}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def client(dagster):
    return LaunchClient(dagster)


def launched(answer: dict) -> str:
    return answer["data"]["launchRun"]["run"]["runId"]


@pytest.fixture(scope="module")
def prediction(curl, client, backend):
    """The run of the documented prediction, once it has ended; until then the backend has nothing of it."""
    run_id = launched(curl(PREDICT))
    answer = requests.get(f"{backend}/runs/{run_id}/predictions", timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_finished")
    return client.wait(run_id)


@pytest.fixture(scope="module")
def refusal(home, dagster):
    """What the command says of a run whose row cannot be used."""
    return home.command("launch", "predict", "--rows", json.dumps(FLIGHT | {"distance": "far"}), "--wait")


@pytest.fixture(scope="module")
def failed(refusal):
    """The id of that run."""
    return refusal.err.splitlines()[0].rpartition("/")[2]


def test_a_documented_prediction_is_answered(prediction, home):
    assert prediction.succeeded
    made = prediction.metadata["requested_predictions"]
    champion = home.project().registry.champion()
    assert (made["dagster/row_count"], made["model_version"]) == (1, champion.number)
    (answer,) = made["answers"]
    expected = (
        home.project().registry.load(champion.number).answer_rows([FLIGHT | {"departure_at": "2014-01-06T08:00"}])
    )
    for name in ("prediction", "low", "high"):
        assert answer[name] == pytest.approx(getattr(expected, name)[0], rel=1e-9)


def test_its_status_and_its_answers_are_read_as_documented(curl, prediction):
    assert curl(STATUS, prediction.run_id)["data"]["runOrError"]["status"] == "SUCCESS"
    entries = curl(ANSWERS, prediction.run_id)["data"]["runOrError"]["assetMaterializations"][0]["metadataEntries"]
    (told,) = [entry["jsonString"] for entry in entries if entry["label"] == "answers"]
    assert json.loads(told) == prediction.metadata["requested_predictions"]["answers"]


def test_its_answers_are_read_from_the_backend_as_documented(curl, prediction):
    page = curl(PAGE, prediction.run_id)
    assert page["rows"] == prediction.metadata["requested_predictions"]["answers"]
    assert (page["total"], page["unit"]) == (1, "minutes")


def test_a_run_that_failed_says_why_as_documented(curl, failed):
    assert WHY in json.dumps(curl(EVENTS, failed), ensure_ascii=False)
    assert curl(STATUS, failed)["data"]["runOrError"]["status"] == "FAILURE"


def test_the_backend_tells_runs_that_failed_from_those_that_nobody_knows(backend, failed):
    def told(run_id):
        answer = requests.get(f"{backend}/runs/{run_id}/predictions", timeout=30)
        return answer.status_code, answer.json()["error"]["message"]

    assert told(failed) == (404, "the run has left no predictions: it is a run of predict and ended with failure")
    assert told(UNKNOWN) == (404, "no run with this id has left predictions")


@pytest.mark.slow
def test_a_documented_retraining_runs_to_its_end(curl, client):
    run = client.wait(launched(curl(RETRAIN)))
    assert run.succeeded and run.job_name == "retrain"


def test_a_documented_search_tunes_one_model_type(curl, client):
    run = client.wait(launched(curl(TUNE)))
    assert run.succeeded
    assert run.metadata["hyperparameters"]["trials"] == 4


def test_the_launchpad_shows_a_row_to_change(dagster):
    query = """{ runConfigSchemaOrError(selector: {repositoryLocationName: "mlops", repositoryName: "__repository__",
                 pipelineName: "predict"}) { ... on RunConfigSchema { rootDefaultYaml } } }"""
    answer = requests.post(f"{dagster}/graphql", json={"query": query}, timeout=30).json()
    shown = load_run_config_yaml(answer["data"]["runConfigSchemaOrError"]["rootDefaultYaml"])
    (row,) = shown["ops"]["answer"]["config"]["rows"]
    assert set(row) == set(FLIGHT)


def test_every_path_gives_the_numbers_of_training(served, client, home, tmp_path):
    golden = served.champion.model.golden
    rows = [dict(row) for row in golden.rows]
    assert len(rows) == 200
    run = client.wait(client.launch("predict", {"ops": {"answer": {"config": {"rows": rows}}}}, {}))
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    file, written = tmp_path / "rows.json", tmp_path / "answers.parquet"
    file.write_text(json.dumps(rows))
    assert home.command("predict", str(file), "--output", str(written)).code == 0
    paths = {
        "launched": served.client.get(f"/runs/{run.run_id}/predictions", params={"limit": 200}).json()["rows"],
        "one by one": [served.client.post("/predict", json=row).json() for row in rows],
        "a list": served.client.post("/predict", json=rows).json()["predictions"],
    }
    found = {name: [answer["prediction"] for answer in answers] for name, answers in paths.items()}
    found["a table"] = served.client.post("/predict/batch", json=columns).json()["prediction"]
    found["a file"] = pq.read_table(written)["prediction"].to_pylist()
    fresh = home.project().registry
    found["loaded anew"] = fresh.load(fresh.champion().number).predict(rows)
    for name, numbers in found.items():
        np.testing.assert_allclose(numbers, golden.expected["prediction"], rtol=1e-9, err_msg=name)


# The command


def test_the_command_prints_the_answers(home, prediction):
    rows = json.dumps([FLIGHT, FLIGHT | {"carrier": "never seen"}])
    answer = home.command("launch", "predict", "--rows", rows, "--wait")
    assert answer.code == 0, answer
    first, second = map(json.loads, answer.out.splitlines())
    assert (first["unseen"], second["unseen"]) == ([], ["carrier"])


def test_the_command_answers_programs_with_the_run_and_what_it_made(home, dagster, prediction):
    answer = home.command("launch", "predict", "--rows", json.dumps(FLIGHT), "--wait", "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["job"], told["status"]) == (0, "predict", "success")
    assert told["url"] == f"{dagster}/runs/{told['run_id']}"
    assert told["made"]["requested_predictions"]["dagster/row_count"] == 1


def test_the_command_fails_as_the_run_does(refusal):
    assert (refusal.code, refusal.out) == (1, "")
    assert refusal.err.splitlines()[1:] == [f"predict ended with failure: {WHY}"]


def test_the_command_leaves_a_run_that_says_who_started_it(home, dagster, client):
    answer = home.command("launch", "tune", "--model-type", "Lasso")
    assert answer.code == 0 and answer.out.startswith(f"launched: {dagster}/runs/")
    run_id = answer.out.rpartition("/")[2].strip()
    with home.instance() as instance:
        assert instance.get_run_by_id(run_id).tags[STARTED_BY] == "api"
    assert not client.wait(run_id).succeeded
    assert client.failure(run_id).endswith("Nonexistent partition keys: ['Lasso']")  # as Dagster says it


def test_what_the_server_refuses_is_told_in_one_line(home, dagster, client):
    with pytest.raises(LaunchError, match=r"does not launch the job 'no_such': Could not find"):
        client.launch("no_such", {}, {})
    with pytest.raises(LaunchError, match=r"unexpected config entry \"rowz\" at path root:ops:answer:config"):
        client.launch("predict", {"ops": {"answer": {"config": {"rowz": []}}}}, {})


# Protection


@contextmanager
def webserver(home, *options):
    """A webserver of its own, on what the home has."""
    port = free_port()
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
    env = os.environ | home.env | {"DAGSTER_HOME": str(home.project().home / "dagster"), "PYTHONPATH": str(ROOT)}
    log = home.folder / "webserver.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *options], cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        wait_for(process, f"http://127.0.0.1:{port}/server_info", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def test_a_read_only_server_shows_runs_and_launches_none(home, prediction):
    assert "`dagster-webserver --read-only -h 127.0.0.1" in (ROOT / "docs" / "api.md").read_text()
    with webserver(home, "--read-only") as address:
        looking = LaunchClient(address)
        assert looking.find(prediction.run_id).succeeded
        answer = home.command("launch", "retrain", "--url", address)
        assert answer.code == 2
        assert "launches nothing: it was started with --read-only" in answer.err


def test_doctor_finds_every_service_at_work(home, backend):
    answer = home.command("doctor", "--services", MLOPS_SERVE_URL=backend)
    assert (answer.code, answer.out.count("✗")) == (0, 0), answer.out
    lines = dict(line.removeprefix("✓ ").split(": ", 1) for line in answer.out.splitlines())
    assert lines["webserver"].startswith("Dagster 1.") and lines["code location"] == "loaded"
    assert lines["daemon"].startswith("heard of ") and lines["predictions"].startswith("version ")
