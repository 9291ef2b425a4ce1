"""The files for runs in places of their own: Dagster's launchers take their settings, and they agree with the stack."""

import re

import dagster as dg
import pytest
import yaml
from dagster._config import process_config

from mlops_assets.settings import PREFIX, Settings
from mlops_assets_tests.deploy.stack import stack
from mlops_assets_tests.documents import ROOT

DEPLOY = ROOT / "deploy"
OURS = yaml.safe_load((ROOT / "dagster.yaml").read_text())
HELM = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
INSTANCES = {path.name: yaml.safe_load(path.read_text()) for path in sorted(DEPLOY.glob("dagster-*.yaml"))}
OVERRIDE = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DEPLOY / "compose-docker-runs.yml").read_text()))
[LOCATION] = HELM["dagster-user-deployments"]["deployments"]


def problems(config_type, given):
    """What Dagster finds wrong with the config of a launcher."""
    return [error.message for error in process_config(config_type, given).errors or ()]


@pytest.mark.parametrize("name", INSTANCES)
def test_an_instance_differs_from_ours_in_where_runs_are_only(name):
    theirs = dict(INSTANCES[name])
    assert set(theirs) == set(OURS)
    for key in ("storage", "telemetry", "nux", "run_retries", "retention"):
        assert theirs[key] == OURS[key]
    limits = theirs["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limits == OURS["concurrency"]["runs"]["tag_concurrency_limits"]
    assert theirs["run_monitoring"]["enabled"]


def test_dagster_docker_takes_its_settings(monkeypatch):
    launchers = pytest.importorskip("dagster_docker", reason="the extra docker is not installed")
    monkeypatch.setenv("RUN_IMAGE", "mlops-assets:0.1.0")
    monkeypatch.setenv("RUN_NETWORK", "mlops_default")
    config = INSTANCES["dagster-docker.yaml"]["run_launcher"]["config"]
    assert problems(launchers.DockerRunLauncher.config_type(), config) == []


def test_runs_in_containers_get_what_the_code_location_has():
    config = INSTANCES["dagster-docker.yaml"]["run_launcher"]["config"]
    code, given = stack()["services"]["code"], config["container_kwargs"]
    mounted = {volume.split(":")[1] for volume in given["volumes"]}
    assert {volume.split(":")[1] for volume in code["volumes"]} | {"/run/secrets/postgres_password"} <= mounted
    assert {volume.split(":")[0] for volume in given["volumes"][:2]} == {"mlops_home", "mlops_dagster"}
    assert stack()["name"] == "mlops"
    handed = {name for name in code["environment"] if name.startswith(PREFIX) or name == "PGPASSFILE"}
    assert handed - set(config["env_vars"]) <= {"MLOPS_SERVE_API_URL"}


def test_only_who_starts_and_ends_runs_gets_the_socket_of_docker():
    services = OVERRIDE["services"]
    with_socket = {name for name, given in services.items() if any("docker.sock" in each for each in given["volumes"])}
    assert with_socket == {"webserver", "daemon"}
    for service in services.values():
        assert "./deploy/dagster-docker.yaml:/app/dagster/dagster.yaml:ro" in service["volumes"]
        assert {"RUN_IMAGE", "RUN_NETWORK"} <= set(service["environment"])


def test_where_parts_are_runs_elsewhere_they_are_looked_for_often():
    assert OVERRIDE["services"]["code"]["environment"]["MLOPS_RETRAIN_IN"] == "runs"
    assert {"name": "MLOPS_RETRAIN_IN", "value": "runs"} in LOCATION["env"]
    assert "export MLOPS_RETRAIN_IN=runs" in (ROOT / "docs/runs-celery.md").read_text(encoding="utf-8")


def test_dagster_celery_takes_its_settings(monkeypatch):
    pytest.importorskip("dagster_celery", reason="the extra celery is not installed")
    from mlops_assets.automation.celery_launcher import WatchedCeleryLauncher

    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")
    launcher = INSTANCES["dagster-celery.yaml"]["run_launcher"]
    assert (launcher["module"], launcher["class"]) == (
        WatchedCeleryLauncher.__module__,
        WatchedCeleryLauncher.__name__,
    )
    assert problems(WatchedCeleryLauncher.config_type(), launcher["config"]) == []


def test_dagster_k8s_takes_what_the_chart_makes_of_the_values():
    launchers = pytest.importorskip("dagster_k8s", reason="the extra k8s is not installed")
    given = HELM["runLauncher"]["config"]["k8sRunLauncher"]
    run = given["runK8sConfig"]
    config = {  # as the chart writes it into dagster.yaml
        "load_incluster_config": given["loadInclusterConfig"],
        "image_pull_policy": given["imagePullPolicy"],
        "job_namespace": "mlops",
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": HELM["global"]["postgresqlSecretName"],
        "dagster_home": "/opt/dagster/dagster_home",
        "fail_pod_on_run_failure": given["failPodOnRunFailure"],
        "run_k8s_config": {
            "container_config": run["containerConfig"],
            "pod_spec_config": run["podSpecConfig"],
            "job_spec_config": run["jobSpecConfig"],
        },
    }
    assert problems(launchers.K8sRunLauncher.config_type(), config) == []


def test_the_chart_starts_the_same_code_as_the_stack():
    served = stack()["services"]["code"]["command"]
    assert LOCATION["dagsterApiGrpcArgs"] == served[-4:]
    assert str(LOCATION["port"]) in served
    [local] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert LOCATION["name"] == local["python_module"]["location_name"]


def test_the_values_hold_settings_that_exist_and_no_secret():
    given = {variable["name"]: variable["value"] for variable in LOCATION["env"]}
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert given.keys() <= known and all(isinstance(value, str) for value in given.values())
    secret = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if "Secret" in str(field)}
    assert given.keys() & secret <= {"MLOPS_TRACKING_URI"}
    assert LOCATION["envSecrets"] and HELM["generatePostgresqlPasswordSecret"] is False


def test_images_of_the_chart_are_pinned_and_do_not_run_as_root():
    parts = [HELM["dagsterWebserver"], HELM["dagsterDaemon"], LOCATION]
    assert all(part["image"]["tag"] not in ("", "latest") for part in parts)
    assert all(part["podSecurityContext"]["runAsNonRoot"] for part in parts)
    assert all(part["securityContext"]["capabilities"] == {"drop": ["ALL"]} for part in parts)


def test_the_queue_of_the_chart_is_ours():
    queue = HELM["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["tagConcurrencyLimits"] == OURS["concurrency"]["runs"]["tag_concurrency_limits"]
    assert HELM["dagsterDaemon"]["runRetries"]["maxRetries"] == OURS["run_retries"]["max_retries"]


def test_the_documented_chart_is_of_the_pinned_dagster():
    [version] = re.findall(r"--version (\S+)", (ROOT / "docs" / "runs-kubernetes.md").read_text())
    assert version == dg.__version__
