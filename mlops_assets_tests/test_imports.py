"""Imports go one way, the core stays pure, and nothing heavy is loaded before it is needed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlops_assets

PACKAGE = Path(mlops_assets.__file__).parent
# Each may import its own layer and those above it in this list.
LAYERS = (
    {"errors", "database_urls"},
    {"settings", "dataset", "dataset_parts", "dataset_checks", "logs"},
    {"core"},
    {"sources", "resources"},
    {"project", "partitions"},
    {"instance", "instance_storage"},
    {"assets"},
    {"checks", "jobs", "operation"},
    {"automation"},
    {"definitions"},
    {"cli"},
)
LAYER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
PAGES = {"backend", "dashboards"}  # what people see: made of the core and resources, beside the assets
NOT_FOR_THE_CORE = {"dagster", "dagster_mlflow", "dagster_pandera", "mlflow", "requests", "sqlalchemy", "fsspec"}
NOT_FOR_THE_CORE |= {"http", "smtplib", "socket", "urllib"}
HEAVY = "pandas sklearn xgboost mlflow scipy matplotlib hyperopt pandera pyarrow skops shap"


def modules():
    """Each module of the package with the part of the project (`core`, `jobs`) that it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part != "__init__":
            yield path, part


def imported(path):
    """Full names of all that a module imports, wherever it does so."""
    package = ["mlops_assets", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def parts_imported(path):
    """Parts of the project that a module imports."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("mlops_assets.")}


def test_every_module_has_its_place_in_the_layers():
    assert {part for _, part in modules()} <= set(LAYER) | PAGES


def test_imports_go_one_way():
    for path, part in modules():
        if part in LAYER:
            wrong = {name for name in parts_imported(path) if LAYER.get(name, 0) > LAYER[part]}
            assert not wrong, f"{path.relative_to(PACKAGE)} imports {wrong}"


def test_pages_never_import_assets_and_only_the_command_line_imports_pages():
    for path, part in modules():
        names = parts_imported(path)
        if part in PAGES:
            wrong = {name for name in names if LAYER.get(name, 0) >= LAYER["assets"]}
            assert not wrong, f"{path.relative_to(PACKAGE)} imports {wrong}"
        elif part != "cli":
            assert not names & PAGES, f"{path.relative_to(PACKAGE)} imports {names & PAGES}"


def test_nothing_imports_definitions_but_the_command_line():
    for path, part in modules():
        assert part == "cli" or "definitions" not in parts_imported(path), path.relative_to(PACKAGE)


def test_the_core_imports_no_dagster_no_mlflow_and_no_network():
    for path, part in modules():
        if part == "core":
            wrong = {name.split(".")[0] for name in imported(path)} & NOT_FOR_THE_CORE
            assert not wrong, f"{path.relative_to(PACKAGE)} imports {wrong}"


def test_only_settings_read_the_environment():
    """The core and the dataset get what they need of it handed in."""
    for path, part in modules():
        if part in ("core", "errors", "dataset", "dataset_parts", "dataset_checks"):
            names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            assert not names & {"environ", "getenv", "environb"}, path.relative_to(PACKAGE)
            assert "os.environ" not in set(imported(path)), path.relative_to(PACKAGE)


def loaded_by(*names, **env):
    """Which heavy packages are in memory once the modules are imported, in a process of its own."""
    imports = "\n".join(f"import {name}" for name in names)
    script = f"import sys\n{imports}\nprint(*sorted(set('{HEAVY}'.split()) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, env=os.environ | env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_foundation_and_the_core_loads_nothing_heavy():
    core = [f"mlops_assets.core.{path.stem}" for path in sorted((PACKAGE / "core").glob("[!_]*.py"))]
    assert loaded_by("mlops_assets.settings", "mlops_assets.dataset", *core) == []


@pytest.mark.skipif(not (PACKAGE / "definitions.py").is_file(), reason="there is no definitions.py")
def test_importing_the_definitions_loads_nothing_heavy(tmp_path):
    assert loaded_by("mlops_assets.definitions", MLOPS_HOME=str(tmp_path)) == []
