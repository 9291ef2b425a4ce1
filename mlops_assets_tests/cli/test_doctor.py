"""`doctor`: one line a check; the exit code is the number of faults."""

import pytest

from mlops_assets.resources.databases.schema import REVISION
from mlops_assets_tests.homes import SHOP, Home, write_yaml
from mlops_assets_tests.servers import free_port

SERVICES = ["webserver", "code location", "daemon", "predictions"]


@pytest.fixture(autouse=True)
def nothing_runs(shop, monkeypatch):
    """Whatever a developer has running at the usual ports."""
    for name in ("MLOPS_DAGSTER_URL", "MLOPS_SERVE_URL"):
        monkeypatch.setitem(shop.env, name, f"http://127.0.0.1:{free_port()}")


def lines(answer):
    """The checks by name: whether they pass, and what they tell."""
    found = (line.split(" ", 1) for line in answer.out.splitlines())
    return {rest.partition(": ")[0]: (mark == "✓", rest.partition(": ")[2]) for mark, rest in found}


def test_all_is_well(shop):
    answer = shop.command("doctor")
    assert answer.code == 0
    found = lines(answer)
    assert [name for name, (passes, _) in found.items() if passes] == [
        "settings and dataset",
        "model types",
        "home folder",
        "files",
        "source",
        "Dagster's storage",
        "MLflow",
        "own tables",
        "workers",
        "mail",
    ]
    assert [name for name, (passes, _) in found.items() if not passes] == SERVICES
    assert found["source"][1] == "3 partition(s), 2024-01 to 2024-03; the target is a number, by rmse"
    assert found["workers"][1] == "not set up (MLOPS_TRIALS, MLOPS_FINAL_FIT)"
    assert found["mail"][1] == "not set up (MLOPS_SMTP_HOST)"
    assert found["MLflow"][1].startswith("sqlite:///") and "experiment 'shop'" in found["MLflow"][1]
    assert " GB free on the disk at /" in found["home folder"][1]
    assert found["files"][1].endswith(" artefact(s) are whole") and not found["files"][1].startswith("0 ")
    assert found["Dagster's storage"][1].endswith(" runs on record")


def test_each_fault_is_told_and_counted(shop, tmp_path, no_waits):
    settings = {
        "MLOPS_MODEL_TYPES": "Rigde",
        "MLOPS_SOURCE_URI": "http://127.0.0.1:1/sales_{period}.csv",
        "MLOPS_HTTP_RETRIES": "0",
        "MLOPS_TRACKING_URI": f"http://me:pa55word@127.0.0.1:{free_port()}",
    }
    answer = shop.command("doctor", **settings)
    faults = {name: told for name, (passes, told) in lines(answer).items() if not passes and name not in SERVICES}
    assert answer.code == len(faults) == 3
    assert "did you mean Ridge" in faults["model types"]
    assert "period 2024-" in faults["source"]
    assert "cannot be opened" in faults["MLflow"]
    assert "pa55word" not in answer.out + answer.err


@pytest.mark.parametrize(("name", "value"), [("DATASET", "nyc_taxi"), ("DATASET", "nyc[red]taxi"), ("SEED", "seven")])
def test_a_wrong_setting_ends_the_examination_and_is_told_as_it_is(shop, name, value):
    answer = shop.command("doctor", **{f"MLOPS_{name}": value})
    assert answer.code == 1
    assert answer.out.startswith("✗ settings and dataset: ") and answer.out.count("\n") == 1
    assert f"'{value}'" in answer.out


def test_a_home_that_cannot_be_written_is_a_fault(shop, tmp_path):
    (tmp_path / "file").touch()
    answer = shop.command("doctor", MLOPS_HOME=str(tmp_path / "file"))
    passes, told = lines(answer)["home folder"]
    assert not passes and "set MLOPS_HOME" in told
    assert answer.code == 4  # Dagster, MLflow and the database have no place either


def test_a_source_without_rows_is_reachable_but_empty(shop, tmp_path):
    answer = shop.command("doctor", MLOPS_SOURCE_URI=f"{tmp_path}/{{period}}.csv")
    assert lines(answer)["source"] == (True, "reachable, but empty")


@pytest.mark.parametrize(
    ("keys", "passes", "told"),
    [
        ({}, False, "the target holds 0 and 1 alone: write kind: binary to learn two classes, or kind: number"),
        (
            {"kind": "binary"},
            True,
            "one of 2 classes (0, 1), by log_loss (0/1: read as binary; write kind: number to regress it)",
        ),
        ({"above": 0.5}, True, "the target is one of 2 classes (at most 0.5, above 0.5), by log_loss"),
        ({"kind": "number"}, True, "the target is a number, by rmse"),
    ],
)
def test_what_the_target_is_taken_for_is_told_and_two_values_without_a_kind_are_a_fault(
    shop, tmp_path, keys, passes, told
):
    (tmp_path / "sales_2024-01.csv").write_text("at,zone,size,price\n2024-01-01,1,2.5,0\n2024-01-02,2,3.5,1\n")
    source = {"kind": "files", "uri": f"{tmp_path}/sales_{{period}}.csv"}
    dataset = write_yaml(tmp_path / "shop.yaml", SHOP | {"source": source, "target": {"column": "price"} | keys})
    found, line = lines(shop.command("doctor", MLOPS_DATASET=dataset))["source"]
    assert (found, told in line) == (passes, True)


def test_a_value_that_is_neither_of_two_classes_is_a_fault(shop, tmp_path):
    (tmp_path / "sales_2024-01.csv").write_text("at,zone,size,price\n2024-01-01,1,2.5,0\n2024-01-02,2,3.5,2\n")
    source = {"kind": "files", "uri": f"{tmp_path}/sales_{{period}}.csv"}
    target = {"column": "price", "kind": "binary"}
    dataset = write_yaml(tmp_path / "shop.yaml", SHOP | {"source": source, "target": target})
    passes, line = lines(shop.command("doctor", MLOPS_DATASET=dataset))["source"]
    assert not passes and "the target holds 2, and kind: binary takes 0 and 1" in line


def test_a_number_that_may_mean_none_is_hinted_at(shop, tmp_path):
    rows = [f"2024-01-{n % 28 + 1:02},1,{-999 if n % 9 == 0 else n},{n}" for n in range(40)]
    (tmp_path / "sales_2024-01.csv").write_text("\n".join(["at,zone,size,price", *rows]))
    source = {"kind": "files", "uri": f"{tmp_path}/sales_{{period}}.csv"}
    dataset = write_yaml(tmp_path / "shop.yaml", SHOP | {"source": source})
    passes, line = lines(shop.command("doctor", MLOPS_DATASET=dataset))["source"]
    hint = "size is -999 in 5 of 40 rows, far from all others: set columns.size.missing_values if that means none"
    assert passes and hint in line


def told(home, **settings):
    (line,) = [line for line in home.command("doctor", **settings).out.splitlines() if "own tables: " in line]
    return line


def test_the_own_tables_are_asked(tmp_path, database_url):
    line = told(Home(tmp_path), MLOPS_DATABASE_URL=database_url)
    assert line == f"✓ own tables: 0 rows in the prediction log (tables at revision {REVISION})"


def test_a_database_that_does_not_answer_is_a_fault_of_all_that_is_in_it_and_shows_no_password(tmp_path):
    url = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/mlops"
    answer = Home(tmp_path).command("doctor", MLOPS_DATABASE_URL=url)
    faults = {name: told for name, (passes, told) in lines(answer).items() if not passes}
    assert faults["own tables"].startswith("the database of MLOPS_DATABASE_URL cannot be used")
    assert faults["Dagster's storage"].startswith("Dagster's storage in the database of MLOPS_DATABASE_URL cannot be")
    assert "cannot be opened" in faults["MLflow"]
    assert "hunter2" not in answer.out + answer.err


def test_a_service_that_does_not_run_is_told_with_what_starts_it(shop):
    found = lines(shop.command("doctor"))
    starts = ("mlops-assets dev", "mlops-assets dev", "dagster-daemon run", "mlops-assets serve")
    for name, start in zip(SERVICES, starts, strict=True):
        assert start in found[name][1], name


def test_in_a_deployment_a_service_that_does_not_run_is_a_fault(shop):
    answer = shop.command("doctor", "--services")
    assert answer.code == len(SERVICES) == answer.out.count("✗")


def test_a_cluster_that_the_settings_name_is_asked(shop, monkeypatch):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr("mlops_assets.resources.dask.cluster.CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    answer = shop.command("doctor", MLOPS_FINAL_FIT=f"dask:{address}")
    passes, told = lines(answer)["workers"]
    assert not passes and f"the Dask cluster at {address} does not answer" in told
    assert answer.code == 1


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("mlflow.db", r"mlflow.db is damaged: restore a backup (mlops-assets restore), or delete the file: runs"),
        ("shop/mlops.db", "mlops.db is damaged: restore a backup (mlops-assets restore), or delete the file: the pred"),
        (
            "shop/dagster/history/runs.db",
            "/history: the history of runs goes with it, and the next run makes everything",
        ),
    ],
)
def test_a_damaged_database_is_told_with_what_to_do(own_shop, file, told):
    own_shop.command("doctor")  # makes the tables that nothing has asked for so far
    path = own_shop.folder / file
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    passes, text = lines(own_shop.command("doctor"))["files"]
    assert not passes and told in text


def test_a_truncated_artefact_is_told_and_made_again(own_shop):
    record = own_shop.record("clean_data", "2024-02")
    path = own_shop.folder / "shop" / record.path
    path.write_bytes(path.read_bytes()[:500])
    passes, text = lines(own_shop.command("doctor"))["files"]
    assert not passes
    assert text == f"{record.path}: gone, or not as large as it was written; `run` makes it again"


def test_little_room_is_a_fault(shop, monkeypatch):
    monkeypatch.setattr("mlops_assets.cli.doctor.free_space", lambda place: 5_000_000)
    passes, text = lines(shop.command("doctor"))["home folder"]
    assert not passes and "0.0 GB free on the disk at /" in text and "a run may not end, make room" in text
