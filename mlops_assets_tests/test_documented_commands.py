"""Every command of the documentation: it exists, its words are understood, and the cheap ones are run."""

import json
import os
import re
import subprocess
import sys

import dagster as dg
import pytest
from typer.main import get_command

from mlops_assets.cli import app
from mlops_assets.core.columns import from_rows
from mlops_assets.dataset import load_dataset
from mlops_assets.definitions import build_definitions
from mlops_assets.project import open_project
from mlops_assets.settings import PREFIX, Settings
from mlops_assets_tests.documents import ROOT, commands

OURS = get_command(app).commands
HARMLESS = {"echo", "cp", "export"}


@pytest.fixture(scope="module")
def definitions():
    """Those of the dataset that the pages speak of."""
    return build_definitions(open_project({}))


@pytest.fixture(scope="module")
def shop(copy_shop):
    """A home of their own in which everything was made: some of them make it again."""
    return copy_shop()


def commands_of(program):
    return [command for command in commands() if command.program == program]


def test_only_known_programs_are_documented():
    known = {"make", "mlops-assets", "dagster", "dg"} | HARMLESS
    assert [str(command) for command in commands() if command.program not in known] == []


def test_every_documented_variable_is_a_setting():
    names = {name for command in commands() for name in command.variables}
    assert names <= {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("command", commands_of("make"), ids=str)
def test_documented_make_targets_exist(command):
    done = subprocess.run(["make", "--dry-run", *command.words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", commands_of("mlops-assets"), ids=str)
def test_documented_commands_of_ours_are_understood(command):
    name, *words = command.words
    OURS[name].make_context(name, words)  # raises where there is no such option


@pytest.mark.parametrize("name", OURS)
def test_every_command_has_help(shop, name):
    answer = shop.command(name, "--help")
    assert answer.code == 0
    assert OURS[name].help.split(":")[0] in answer.out


@pytest.mark.parametrize("words", [["why", "all"], ["why", "training_set"], ["history"], ["doctor"]], ids=" ".join)
def test_documented_commands_that_only_look_do_their_work(shop, words):
    assert tuple(words) in [command.words for command in commands_of("mlops-assets")]
    answer = shop.command(*words)
    assert answer.code == 0, answer.err
    assert answer.out


def test_the_documented_flight_has_the_inputs_of_its_dataset():
    [echo] = [command for command in commands_of("echo") if command.page == "cli.md"]
    spec = load_dataset("nyc_flights", {})
    columns = from_rows([json.loads(echo.words[0])], spec)
    assert set(columns) == set(spec.inputs())


MODULE = "-m mlops_assets.definitions"
WORKS = {
    "definitions validate -w workspace.yaml": "All code locations passed validation",
    f"asset list {MODULE}": "training_set",
    f"job list {MODULE}": "Job: tune",
    f"asset materialize {MODULE} --select training_set": "training_set: nothing changed since",
}
DAGSTER = [(command, " ".join(command.words[:2])) for command in commands_of("dagster")]


def in_dagster(home, words, program=("-m", "dagster")):
    """`dagster` with these words, or another program of Python, where the UI of a home looks."""
    env = os.environ | home.env | {"DAGSTER_HOME": str(home.project().home / "dagster"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *program, *words], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("said", sorted({name for _, name in DAGSTER}))
def test_documented_dagster_commands_have_their_options(shop, said):
    help_text = in_dagster(shop, [*said.split(), "--help"])
    options = {word for command, name in DAGSTER if name == said for word in command.words if word.startswith("-")}
    assert [option for option in sorted(options) if not re.search(rf"(?<!\S){option}\b", help_text)] == []


def test_documented_assets_partitions_and_jobs_are_those_of_the_default_dataset(definitions):
    graph = definitions.resolve_asset_graph()
    for command, _ in DAGSTER:
        if asset := command.after("--select"):
            partitions = graph.get(dg.AssetKey(asset)).partitions_def
            named = command.after("--partition")
            assert (named is None) == (partitions is None), command
            assert named is None or named in partitions.get_partition_keys(), command
        if name := command.after("-j"):
            job = definitions.resolve_job_def(name)
            named = (command.after("--partitions") or "").split(",")
            assert named == [""] or set(named) <= set(job.partitions_def.get_partition_keys()), command


@pytest.mark.parametrize("said", WORKS)
def test_documented_dagster_commands_do_their_work(shop, said):
    assert said in [" ".join(command.words) for command, _ in DAGSTER]
    answer = in_dagster(shop, said.split())
    assert WORKS[said] in answer, answer


DG = {
    "list defs": "champion_model",
    "check defs": "All definitions loaded successfully",
    "launch --assets training_set": "training_set: nothing changed since",
}


@pytest.mark.parametrize("said", DG)
def test_documented_dg_commands_do_their_work(shop, said):
    assert said in [" ".join(command.words) for command in commands_of("dg")]
    assert DG[said] in in_dagster(shop, said.split(), ["-c", "from dagster_dg_cli.cli import main; main()"])
