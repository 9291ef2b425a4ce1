"""docker-compose.yml: what it starts, what it opens, what it keeps; without a container engine."""

import re
from io import StringIO

import pytest
import yaml
from dotenv import dotenv_values
from typer.main import get_command

from mlops_assets.cli import app
from mlops_assets.settings import PREFIX, Settings, read_settings
from mlops_assets_tests.deploy.stack import TEXT, ours, services, stack, variables
from mlops_assets_tests.documents import ROOT

SERVICES = services()
FROM_SCRIPTS = {"STACK_ENV_FILE"}  # smoke.sh sets it; in .env it would name itself
EVERY = pytest.mark.parametrize("name", SERVICES)
OURS = pytest.mark.parametrize("name", ours())
PUBLISHED = {"webserver": "3000:3000", "mlflow": "5001:5000", "backend": "8000:8000"}


def test_it_has_the_services_of_a_deployment():
    assert {"postgres", "mlflow", "code", "webserver", "daemon", "backend"} <= set(SERVICES)


def test_each_variable_has_a_default_which_is_that_of_env_example():
    example = re.sub(r"^#(STACK_)", r"\1", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    documented = {name: value for name, value in dotenv_values(stream=StringIO(example)).items() if "STACK_" in name}
    used = dict(variables())
    assert [name for name, default in used.items() if default is None] == []
    assert {name: used[name] for name in used.keys() - FROM_SCRIPTS} == documented


@EVERY
def test_a_service_is_watched_and_started_again(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["init"] is True  # the processes of ended runs are cleared away
    assert service["logging"]["options"]["max-size"]


@EVERY
def test_images_are_pinned(name):
    assert re.search(r":\d[\w.-]*$", SERVICES[name]["image"])
    if "build" in SERVICES[name]:
        assert re.search(r":\d+\.\d+\.\d+", SERVICES[name]["build"]["args"]["PYTHON_IMAGE"])


def test_only_three_ports_are_open_and_on_loopback():
    opened = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert opened == {name: [f"127.0.0.1:{ports}"] for name, ports in PUBLISHED.items()}


@OURS
def test_our_services_have_no_privileges(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in SERVICES[name]  # that of the image, which is not root


def test_no_secret_is_written_down():
    assert not re.search(r"://\w+:[^@/\s]+@", TEXT)
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|KEY", variable) or value.startswith("/run/secrets/")
    for secret in stack()["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert {"/secrets/", ".env"} <= set((ROOT / ".gitignore").read_text().split())


@EVERY
def test_what_a_service_mounts_is_declared(name):
    service = SERVICES[name]
    assert set(service.get("secrets", ())) <= set(stack()["secrets"])
    for volume in service.get("volumes", ()):
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        assert source in stack()["volumes"] or mode == ["ro"]


def test_everything_that_is_kept_lies_on_a_volume():
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert "mlflow:/data/mlartifacts" in SERVICES["mlflow"]["volumes"]
    assert "home:/data" in SERVICES["code"]["volumes"] and "home:/data" in SERVICES["backend"]["volumes"]
    logs = "dagster:/app/dagster/storage"
    assert all(logs in SERVICES[name]["volumes"] for name in ("code", "webserver", "daemon"))


@OURS
def test_a_service_waits_by_itself_for_what_it_depends_on(name):
    service, needed = SERVICES[name], SERVICES[name].get("depends_on", {})
    awaited = {re.split("[/:]+", address)[1] for address in service["environment"].get("WAIT_FOR", "").split()}
    assert awaited == set(needed)
    assert all(on["condition"] == "service_healthy" for on in needed.values())


@OURS
def test_the_settings_of_a_service_can_be_read(name):
    given = SERVICES[name]["environment"]
    settings = read_settings({key: value for key, value in given.items() if key.startswith(PREFIX)})
    assert settings.postgres == "postgresql+psycopg2://mlops@postgres/mlops"
    assert "postgres_password" in SERVICES[name].get("secrets", ()) or "dask" in name  # whose workers need no database
    assert name == "mlflow" or settings.tracking == "http://mlflow:5000"


def test_every_setting_in_it_exists():
    used = {key for service in ours().values() for key in service["environment"] if key.startswith(PREFIX)}
    assert used <= {PREFIX + field.upper() for field in Settings.model_fields}


def test_our_own_commands_are_understood():
    known = get_command(app).commands
    for service in ours().values():
        program, word, *options = service["command"]
        if program == "mlops-assets":
            known[word].make_context(word, options)


def test_webserver_and_daemon_find_the_code():
    for name in ("webserver", "daemon"):
        command = SERVICES[name]["command"]
        assert command[command.index("-w") + 1] == "/app/workspace.yaml"
    [location] = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]
    [local] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    served = SERVICES["code"]["command"]
    assert location["grpc_server"]["host"] in SERVICES
    assert str(location["grpc_server"]["port"]) == served[served.index("-p") + 1]
    assert location["grpc_server"]["location_name"] == local["python_module"]["location_name"]
    assert served[served.index("-m") + 1] == local["python_module"]["module_name"]
