"""The scripts around the stack: they are well formed, and make secrets that only their owner finds."""

import os
import shutil
import subprocess

import pytest

from mlops_assets_tests.documents import ROOT

SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), *sorted((ROOT / "deploy").glob("*.sh"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_well_formed_and_stops_at_the_first_error(script):
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text()


@pytest.fixture
def checkout(tmp_path):
    """The scripts in a folder of their own, with a `compose` that writes down how it was called."""
    (tmp_path / "scripts").mkdir()
    for name in ("start.sh", "stop.sh"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    compose = tmp_path / "compose"
    compose.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\n')
    compose.chmod(0o755)
    return tmp_path


def start(checkout, *options, **variables):
    env = {"PATH": os.environ["PATH"], "COMPOSE": str(checkout / "compose")} | variables
    done = subprocess.run(["sh", checkout / "scripts" / "start.sh", *options], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_built_once_then_brought_up_then_awaited(checkout):
    start(checkout, "--quiet-pull")
    build, up, wait = (checkout / "called").read_text().splitlines()
    assert build == "build code"
    assert up == "up --detach --no-build --quiet-pull"
    assert wait.startswith("exec -T backend python /app/wait_for.py tcp://postgres:5432")


def test_secrets_are_made_once_and_found_by_nobody_else(checkout):
    start(checkout)
    made = {path.name: path.read_text() for path in (checkout / "secrets").iterdir()}
    assert set(made) == {"postgres_password", "api_keys"}
    assert all(len(secret) == 64 for secret in made.values()) and len(set(made.values())) == 2
    assert (checkout / "secrets").stat().st_mode & 0o777 == 0o700
    start(checkout)
    assert {path.name: path.read_text() for path in (checkout / "secrets").iterdir()} == made


def test_no_secret_is_printed(checkout):
    said = start(checkout)
    assert "key: in ./secrets/api_keys" in said
    assert not [path for path in (checkout / "secrets").iterdir() if path.read_text() in said]


def test_the_addresses_are_those_of_env(checkout):
    assert "http://127.0.0.1:3000\n" in start(checkout)
    (checkout / ".env").write_text("STACK_DAGSTER_PORT=3333\nSTACK_BIND=192.0.2.1\n")
    assert "http://192.0.2.1:3333\n" in start(checkout)
    assert "http://192.0.2.1:4444\n" in start(checkout, STACK_DAGSTER_PORT="4444")


def test_an_env_file_that_is_there_is_kept(checkout):
    (checkout / ".env").write_text("MLOPS_SEED=8\n")
    start(checkout)
    assert (checkout / ".env").read_text() == "MLOPS_SEED=8\n"


def test_stopping_keeps_the_volumes(checkout):
    env = {"PATH": os.environ["PATH"], "COMPOSE": str(checkout / "compose")}
    subprocess.run(["sh", checkout / "scripts" / "stop.sh"], env=env, check=True)
    assert (checkout / "called").read_text() == "down\n"
