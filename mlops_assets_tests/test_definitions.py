"""The asset graph as a whole: no edge, group, owner or check changes unnoticed, and it loads in Dagster."""

import os
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

import pytest

from mlops_assets.assets.registry import ENTRIES
from mlops_assets.definitions import build_definitions
from mlops_assets.project import open_project
from mlops_assets_tests.homes import ROOT, UNSET

SNAPSHOT = Path(__file__).with_name("asset_graph.txt")
SETTINGS = {"MLOPS_MODEL_TYPES": "LinearRegression,Ridge,XGBoost,Ensemble", "MLOPS_CPU_MINUTES": "10"}
ON_REQUEST = {"requested_predictions"}  # recorded by the job `predict`, and no part of the pipeline
PIPELINE = {entry.name for entry in ENTRIES}
BY_HAND = {"backtest_report"}  # made by a job of its own, and by no run of the pipeline


@pytest.fixture(scope="module")
def definitions():
    """Those of the embedded dataset."""
    return build_definitions(open_project(SETTINGS))


@pytest.fixture(scope="module")
def specs(definitions):
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def described(definitions, specs):
    """The graph in words, one thing a line."""
    graph = definitions.resolve_asset_graph()
    for name, spec in sorted(specs.items()):
        node = graph.get(spec.key)
        yield name
        yield f"  group: {spec.group_name}; owners: {', '.join(spec.owners)}; kinds: {', '.join(sorted(spec.kinds))}"
        yield f"  code version: {spec.code_version}; pools: {', '.join(sorted(node.pools or ())) or 'none'}"
        yield f"  partitions: {partitions(spec.partitions_def)}"
        for dep in sorted(spec.deps, key=lambda dep: dep.asset_key):
            mapping = f" ({type(dep.partition_mapping).__name__})" if dep.partition_mapping else ""
            yield f"  depends on: {dep.asset_key.to_user_string()}{mapping}"
        for key in sorted(node.check_keys, key=lambda key: key.name):
            yield f"  check: {key.name}{' (blocking)' if graph.get(key).blocking else ''}"
    for job in sorted(definitions.resolve_all_job_defs(), key=lambda job: job.name):
        if not job.name.startswith("__"):
            assets = sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            yield f"job {job.name}: {', '.join(assets)}"


def partitions(definition):
    if definition is None:
        return "none"
    keys = definition.get_partition_keys()
    return ", ".join(keys) if len(keys) < 6 else f"{len(keys)} from {keys[0]} to {keys[-1]}"


def test_the_asset_graph_is_the_one_on_record(definitions, specs):
    """A change that is meant goes with the file: WRITE_SNAPSHOT=1 writes it anew."""
    graph = "\n".join(described(definitions, specs)) + "\n"
    if "WRITE_SNAPSHOT" in os.environ:
        SNAPSHOT.write_text(graph)
    recorded = SNAPSHOT.read_text()
    assert graph == recorded, "\n".join(unified_diff(recorded.splitlines(), graph.splitlines(), "on record", "now"))


def test_every_asset_says_what_it_is_whose_and_of_what_kind(specs):
    for name, spec in specs.items():
        assert spec.description and spec.owners and spec.kinds and spec.group_name, name
        assert spec.code_version or name in ON_REQUEST, name


def test_every_check_and_every_job_says_what_it_is_for(definitions):
    graph = definitions.resolve_asset_graph()
    assert all(graph.get(key).description for key in graph.asset_check_keys)
    assert all(job.description for job in definitions.resolve_all_job_defs() if not job.name.startswith("__"))


def test_the_registry_has_the_pipelines_assets_and_no_other(specs):
    assert set(specs) - ON_REQUEST - BY_HAND == PIPELINE
    assert {name: specs[name].code_version for name in PIPELINE} == {
        entry.name: entry.code_version for entry in ENTRIES
    }


def test_what_is_made_on_request_is_made_by_no_run_of_assets(definitions):
    graph = definitions.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.external_asset_keys} == ON_REQUEST


def test_every_asset_has_a_job_that_makes_it_alone(definitions):
    for entry in ENTRIES:
        job = definitions.resolve_job_def(entry.job)
        assert [key.to_user_string() for key in job.asset_layer.executable_asset_keys] == [entry.name]


@pytest.mark.parametrize(
    ("model_types", "absent"),
    [("Ridge", {"xgboost_model"}), ("XGBoost", {"sklearn_model"}), ("Ridge,Ridge", {"xgboost_model"})],
)
def test_a_kind_of_model_that_is_not_asked_for_is_no_asset(model_types, absent):
    specs = build_definitions(open_project({"MLOPS_MODEL_TYPES": model_types})).resolve_all_asset_specs()
    names = {spec.key.to_user_string() for spec in specs}
    assert names - ON_REQUEST - BY_HAND == PIPELINE - absent - {"ensemble_model", "search_budget"}
    assert {spec.key.to_user_string(): len(spec.deps) for spec in specs}["champion_model"] == 2


def test_dagster_validates_the_workspace(tmp_path):
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    env = os.environ | UNSET | {"MLOPS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location mlops" in done.stdout + done.stderr


def test_a_wrong_setting_is_told_by_dagster_too(tmp_path):
    command = [sys.executable, "-c", "from mlops_assets.definitions import defs; defs()"]
    env = os.environ | UNSET | {"MLOPS_HOME": str(tmp_path), "MLOPS_DATASET": "nyc_taxi"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode and "SpecError: 'nyc_taxi' is not a dataset" in done.stderr
