"""Bad input through the front door: one clear error that names it, nothing half-written, the last good state in use."""

import json
import os
import re
import socket
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.cli.terminal import TerminalProgress
from mlops_assets_tests.homes import SHOP, write_period, write_yaml
from mlops_assets_tests.servers import free_port

FILES = {"kind": "files", "uri": "sales_{period}.csv"}
ROW = {"zone": 1, "size": 20}


def error_of(answer) -> str:
    """The one error that a command gave: of the whole command, or of one asset."""
    assert answer.code in (1, 2)
    assert "Traceback" not in answer.out + answer.err
    told = answer.err.splitlines() + re.findall(r"^\S+ (?:failed|cannot be made): .*$", answer.out, re.MULTILINE)
    assert len(told) == 1, answer
    return told[0]


def artefacts(home):
    """All that the pipeline keeps of the shop but Dagster's records of what was tried."""
    folder = home.folder / "shop"
    return {path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != "dagster"}


def state(home):
    """What a user relies on: the champion, the newest predictions, every artefact."""
    champion, scored = home.record("champion_model"), home.records("predictions")
    return (
        champion.value("champion_version"),
        {period: record.content for period, record in scored.items()},
        artefacts(home),
    )


@pytest.fixture(scope="module")
def shop(made_shop):
    """A home of their own in which everything was made: these tests try to make it again."""
    return made_shop()


@pytest.fixture
def good_state(shop):
    """Afterwards the shop is as it was, and its champion still answers."""
    before = state(shop)
    yield shop
    assert state(shop) == before
    answer = shop.command("predict", write_json(shop.folder, ROW))
    assert answer.code == 0 and json.loads(answer.out)["model_version"] == before[0]


def write_json(folder, rows) -> str:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    return str(path)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"MLOPS_DATASET": "nyc_taxi"}, "'nyc_taxi' is not a dataset"),
        ({"MLOPS_DATASET": "absent.yaml"}, "the dataset file absent.yaml does not exist"),
        ({"MLOPS_MODEL_TYPES": "Ridge,Rigde"}, "'Rigde' is not a model type: did you mean Ridge"),
        ({"MLOPS_MAX_TRIALS": "ten"}, "MLOPS_MAX_TRIALS='ten': "),
        ({"MLOPS_DATSET": "shop"}, "MLOPS_DATSET is not a setting: did you mean MLOPS_DATASET?"),
        ({"MLOPS_SEARCH_SPACES": "absent.yaml"}, "absent.yaml cannot be read"),
        ({"DAGSTER_HOME": "here"}, "DAGSTER_HOME must be an absolute path, not here"),
    ],
)
def test_a_wrong_setting_is_named(good_state, settings, told):
    assert told in error_of(good_state.command("run", **settings))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"colour": "red"}, "colour: is not a key of a dataset"),
        ({"target": {"column": "price", "keep": "1 to 9"}}, "target.keep: "),
        ({"target": {"column": "cost"}}, "target: 'cost' is not a column"),
        ({"source": FILES | {"uri": "${SHOP_FOLDER}/sales_{period}.csv"}}, "the environment variable SHOP_FOLDER"),
        ({"features": {"numeric": {"price": {}}}}, "'price' is known only after the event"),
    ],
)
def test_a_wrong_yaml_is_named(good_state, tmp_path, changes, told):
    path = write_yaml(tmp_path / "wrong.yaml", SHOP | {"source": FILES} | changes)
    error = error_of(good_state.command("run", MLOPS_DATASET=path))
    assert "wrong.yaml" in error and told in error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at,zone,size,cost\n2024-04-01 10:00,1,2,3\n", "price"),
        ("at,zone,size,price\n", "rows_present"),
        ("at,zone,size,price\n2024-04-01 10:00,1,2,\n2024-04-02 10:00,1,2,\n", "no row has a target"),
        ("at,zone,size,price\n2024-04-01 10:00,1,large,3\n", "size"),
        ("at,zone,size,price\n2024-01-01 10:00,1,2,3\n", "lie outside 2024-04"),
    ],
    ids=["other columns", "no rows", "no targets", "a text for a number", "another period"],
)
def test_a_bad_period_is_named_and_left_out(good_state, text, told):
    bad = good_state.folder / "sales" / "sales_2024-04.csv"
    bad.write_text(text)
    try:
        error = error_of(good_state.command("run"))
    finally:
        bad.unlink()
    assert "raw_data[2024-04] failed: " in error and told in error
    assert good_state.command("run").code == 0


def test_a_truncated_parquet_is_named_and_nothing_is_kept_of_it(new_shop, tmp_path):
    table = pa.table({"at": ["2024-01-01"], "zone": [1], "size": [2.0], "price": [3.0]})
    pq.write_table(table, tmp_path / "sales_2024-01.parquet")
    with (tmp_path / "sales_2024-01.parquet").open("rb+") as file:
        file.truncate(200)
    shop = new_shop(MLOPS_SOURCE_URI=f"{tmp_path}/sales_{{period}}.parquet")
    error = error_of(shop.command("run"))
    assert "raw_data[2024-01] failed: period 2024-01" in error and "Parquet" in error
    assert artefacts(shop) == set()


def test_a_window_that_cannot_be_filled_says_what_is_missing(new_shop):
    shop = new_shop()
    (shop.folder / "sales" / "sales_2024-03.csv").unlink()
    assert "training_set cannot be made: 2 period(s) are not enough" in error_of(shop.command("run"))


@pytest.mark.parametrize(
    "row",
    [{"zone": 999_999, "size": 20}, {"zone": 1e30, "size": -1e308}],
    ids=["a category never seen", "absurd"],
)
def test_a_row_that_no_one_should_send_gets_a_number_within_the_targets_range(shop, row, tmp_path):
    answer = shop.command("predict", write_json(tmp_path, row))
    assert answer.code == 0, answer
    assert 1 <= json.loads(answer.out)["prediction"] <= 1000


@pytest.mark.parametrize(
    ("row", "lacks"),
    [
        ({"zone": None, "size": float("nan")}, "zone, size must be given"),
        ({"zone": 1, "size": float("inf")}, "size must be given"),
        ({}, "zone, size must be given"),
    ],
    ids=["NaN", "infinite", "nothing known"],
)
def test_a_row_that_lacks_what_no_training_row_lacked_is_refused_by_name(shop, row, lacks, tmp_path):
    answer = shop.command("predict", write_json(tmp_path, row))
    assert (answer.code, answer.out) == (2, "")
    assert f"row 0: {lacks}: the model has not learnt from rows without" in answer.err


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"zone": 1, "size": "large"}, "size must be a number"),
        ({"zone": 1.5, "size": 1}, "zone must be a whole number"),
        ({"zone": 1, "sise": 1}, "sise is not an input (inputs: zone, size)"),
        ([], "an object, or a list of objects"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(shop, row, told, tmp_path):
    assert told in error_of(shop.command("predict", write_json(tmp_path, row)))


def test_a_url_that_times_out_is_named(good_state):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/sales_{{period}}.csv"
        settings = {"MLOPS_SOURCE_URI": address, "MLOPS_HTTP_TIMEOUT": "0.2", "MLOPS_HTTP_RETRIES": "0"}
        error = error_of(good_state.command("run", **settings))
    assert "period 2024-" in error and "MLOPS_HTTP_TIMEOUT" in error


def test_a_database_that_is_down_is_named(good_state, tmp_path):
    url = f"postgresql://user:pa55word@127.0.0.1:{free_port()}/sales"
    path = write_yaml(tmp_path / "sql.yaml", SHOP | {"source": {"kind": "sql", "url": url, "table": "sales"}})
    error = error_of(good_state.command("run", MLOPS_DATASET=path, MLOPS_HTTP_RETRIES="0"))
    assert "the database cannot be reached" in error
    assert "pa55word" not in error


def test_dagsters_database_that_is_down_is_named(good_state, tmp_path):
    url = f"postgresql://user:pa55word@127.0.0.1:{free_port()}/dagster"
    write_yaml(tmp_path / "dagster.yaml", {"storage": {"postgres": {"postgres_url": url}}})
    error = error_of(good_state.command("run", DAGSTER_HOME=str(tmp_path)))
    assert "Dagster's storage" in error and "refused" in error
    assert "pa55word" not in error


def test_an_mlflow_that_is_down_is_named(good_state, no_waits):
    settings = {"MLOPS_TRACKING_URI": f"http://user:pa55word@127.0.0.1:{free_port()}"}
    for words in (["run"], ["predict", write_json(good_state.folder, ROW)], ["rollback"], ["history"]):
        error = error_of(good_state.command(*words, **settings))
        assert "MLflow at http://user:" in error and "cannot be opened (does it run" in error
        assert "pa55word" not in error


@pytest.mark.slow
def test_an_mlflow_that_goes_down_in_the_middle_is_named_and_the_next_run_goes_on(
    new_shop, line, no_waits, monkeypatch
):
    shop = new_shop(MLOPS_TRACKING_URI=f"http://{line.address}")
    losses = []

    class Progress(TerminalProgress):
        def trial(self, log, model_type, trial, best, of):
            losses.append(trial.loss)
            if len(losses) == 2:
                line.cut()
            super().trial(log, model_type, trial, best, of)

    monkeypatch.setattr("mlops_assets.cli.run.TerminalProgress", Progress)
    error = error_of(shop.command("run"))
    assert f"MLflow at http://{line.address} cannot " in error
    assert shop.record("training_set") and not shop.record("hyperparameters", "Ridge")
    line.mend()
    answer = shop.command("run")
    assert answer.code == 0, answer
    assert shop.record("hyperparameters", "Ridge").value("resumed_trials") >= 2
    assert shop.record("champion_model").value("champion_version") == 2
    tracking = shop.project().tracking
    runs = tracking.client.search_runs([tracking.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED", "KILLED"}
    assert sorted(run.data.tags["trial"] for run in runs if "trial" in run.data.tags) == ["1", "2", "3"]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 20 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(place)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_last_good_state_stays(new_shop, small_disk, tmp_path):
    """Dagster's own records lie on another disk: on a full one they could not tell of the failure."""
    shop = new_shop(MLOPS_SOURCE_URI="", DAGSTER_HOME=str(tmp_path / "dagster"))
    (shop.folder / "shop").symlink_to(small_disk)
    assert shop.command("run").code == 0
    before = state(shop)
    write_period(shop.folder / "sales", "2024-04", rows=20_000)
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        file.write(os.urandom(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize - 50_000))
    error = error_of(shop.command("run"))
    assert f"raw_data[2024-04] failed: raw_data/2024-04 cannot be written: the disk at {small_disk} is full" in error
    filler.unlink()
    assert state(shop) == before
    assert shop.command("run").code == 0
    assert shop.record("training_set").value("test_periods") == "2024-04"


def test_dagsters_records_on_a_full_disk_are_named(new_shop, small_disk):
    shop = new_shop(DAGSTER_HOME=str(small_disk))
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        file.write(os.urandom(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize - 50_000))
    assert "Dagster's storage" in error_of(shop.command("run"))


@pytest.mark.parametrize("below", ["", "/home"])
def test_a_home_that_is_no_folder_is_named(good_state, tmp_path, below):
    (tmp_path / "file").touch()
    assert "MLOPS_HOME" in error_of(good_state.command("run", MLOPS_HOME=f"{tmp_path}/file{below}"))


@pytest.mark.parametrize("output", ["/no/such/folder/answer.csv", "/dev/null/answer.csv"])
def test_an_answer_that_cannot_be_written_is_named(good_state, output):
    error = error_of(good_state.command("predict", write_json(good_state.folder, ROW), "--output", output))
    assert f"{output} cannot be written" in error
