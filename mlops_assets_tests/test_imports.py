"""Imports go one way, in the house and in its rooms; the core stays pure; nothing heavy is loaded early."""

import ast
import os
import subprocess
from collections import defaultdict
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import mlops_assets
from mlops_assets_tests.warm import TRUE_PYTHON

PACKAGE = Path(mlops_assets.__file__).parent
# From the bottom up. Each may import what stands below it, and nothing of what stands beside it.
HOUSE = (
    {"errors", "validation", "database_urls", "compat", "disks", "run_tags", "addresses", "facts"},
    {"settings", "dataset", "logs"},
    {"core"},
    {"sources", "resources"},
    {"project", "onboarding"},
    {"instance", "instance_storage"},
    {"assets", "operation", "dashboards"},
    {"automation", "serving"},
    {"alerts"},
    {"definitions"},
    {"cli"},
)
CORE = (
    {"types"},
    {"state", "fingerprint", "metrics", "matrix_files"},
    {"columns", "report"},
    {"features"},
    {"targets"},
    {"prepare", "learners"},
    {"model"},
    {"training_set", "monitor"},
    {"folds"},
    {"search", "explain"},
    {"judge"},
)
RESOURCES = (
    {"databases", "progress", "ticks"},
    {"dagster_client"},
    {"mlflow", "artefacts", "dask"},
)
LAYERS = {"": HOUSE, "core": CORE, "resources": RESOURCES}
PAGES = {"serving", "dashboards"}  # what people see: made of the core and the resources, beside the assets
NOT_FOR_PAGES = {"assets", "operation", "automation", "alerts", "definitions", "cli"}
NOT_FOR_THE_CORE = {"dagster", "dagster_mlflow", "dagster_pandera", "mlflow", "requests", "sqlalchemy", "fsspec"}
NOT_FOR_THE_CORE |= {"http", "smtplib", "socket", "urllib"}
HEAVY = "pandas sklearn xgboost mlflow scipy matplotlib hyperopt pandera pyarrow skops shap alembic sqlalchemy requests"


def name_of(path):
    """`core.features.encoder` for a file; a room's `__init__` has the name of the room."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def nodes(name):
    """All of a module's syntax tree, and what of it stands below `if TYPE_CHECKING`."""
    every = list(ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))))
    return every, set(for_types_only(every))


def for_types_only(nodes):
    """What stands below `if TYPE_CHECKING`."""
    for node in nodes:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from chain.from_iterable(map(ast.walk, node.body))


@cache
def imported(name, types=True):
    """Full names of all that a module imports, wherever it does so; also for types only, unless told otherwise."""
    return list(imports_of(name, types))


def imports_of(name, types):
    package = ["mlops_assets", *MODULES[name].relative_to(PACKAGE).parent.parts]
    every, for_types = nodes(name)
    for node in every:
        if not types and node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def ours(name, types=True):
    """Modules of the project that a module imports; a name inside a module stands for the module."""
    for full in imported(name, types):
        parts = full.split(".")
        if parts.pop(0) == "mlops_assets":
            while parts and ".".join(parts) not in MODULES:
                parts.pop()
            if parts:
                yield ".".join(parts)


def part_of(name, room):
    """The part of a room, such as `features` of `core`, that a module belongs to; none where it is not inside."""
    inside = name.removeprefix(f"{room}.") if room else name
    return inside.partition(".")[0] if inside != name or not room else None


def parts(room):
    """Each module inside a room, with its part."""
    found = ((name, part_of(name, room)) for name in MODULES)
    return [(name, part) for name, part in found if part]


def circles(edges):
    """Nodes that come back to themselves."""

    def reached(start):
        seen, waiting = set(), [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    return sorted(node for node in list(edges) if node in reached(node))


@pytest.mark.parametrize("room", LAYERS)
def test_every_module_has_its_place_in_the_layers(room):
    placed = [part for layer in LAYERS[room] for part in layer]
    assert sorted(placed) == sorted({part for _, part in parts(room)})


@pytest.mark.parametrize("room", LAYERS)
def test_imports_go_one_way(room):
    floor = {part: number for number, layer in enumerate(LAYERS[room]) for part in layer}
    for name, part in parts(room):
        theirs = {part_of(other, room) for other in ours(name)} - {part, None}
        wrong = {other for other in theirs if floor[other] >= floor[part]}
        assert not wrong, f"{name} imports {wrong}"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_rooms_rooms_in_them_and_modules_are_in_no_circle_lazy_imports_included(depth):
    edges = defaultdict(set)
    for name in MODULES:
        here = ".".join(name.split(".")[:depth])
        edges[here] |= {".".join(other.split(".")[:depth]) for other in ours(name, types=False)} - {here}
    assert not circles(edges)


def test_a_circle_is_seen():
    assert circles(defaultdict(set, {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()})) == ["b", "c"]


def test_pages_never_import_assets_and_only_the_command_line_imports_pages():
    for name, part in parts(""):
        theirs = {part_of(other, "") for other in ours(name)}
        if part in PAGES:
            assert not theirs & NOT_FOR_PAGES, f"{name} imports {theirs & NOT_FOR_PAGES}"
        elif part != "cli":
            assert not theirs & PAGES, f"{name} imports {theirs & PAGES}"


def test_dashboards_know_nothing_of_the_server_that_shows_them():
    for name, part in parts(""):
        if part == "dashboards":
            assert "serving" not in {part_of(other, "") for other in ours(name)}, name


def test_nothing_imports_definitions_but_the_command_line():
    for name, part in parts(""):
        assert part == "cli" or "definitions" not in set(ours(name)), name


def test_the_core_imports_no_dagster_no_mlflow_and_no_network():
    for name, _ in parts("core"):
        wrong = {full.split(".")[0] for full in imported(name)} & NOT_FOR_THE_CORE
        assert not wrong, f"{name} imports {wrong}"


def test_only_settings_read_the_environment():
    """These get what they need of it handed in."""
    for name, part in parts(""):
        if part in ("core", "errors", "database_urls", "dataset", "sources", "alerts", "automation", "dashboards"):
            names = {node.attr for node in nodes(name)[0] if isinstance(node, ast.Attribute)}
            assert not names & {"environ", "getenv", "environb"}, name
            assert "os.environ" not in set(imported(name)), name


def loaded_by(*names, doing="", heavy=HEAVY, **env):
    """Which heavy packages are in memory once the modules are imported, in a process of its own."""
    imports = "\n".join(f"import {name}" for name in names)
    script = f"import sys\n{imports}\n{doing}\nprint(*sorted(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run(
        [TRUE_PYTHON, "-c", script], cwd=PACKAGE.parent, env=os.environ | env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_foundation_and_the_core_loads_nothing_heavy():
    core = [f"mlops_assets.{name}" for name, _ in parts("core")]
    assert loaded_by("mlops_assets.settings", "mlops_assets.dataset", *core) == []


def test_importing_the_definitions_loads_nothing_heavy(tmp_path):
    assert loaded_by("mlops_assets.definitions", MLOPS_HOME=str(tmp_path)) == []


def test_what_keeps_and_loads_estimators_imports_no_others():
    """By itself skops imports all of scikit-learn, and what that needs to be tested."""
    name = "mlops_assets.core.learners.strict_skops"
    heavy = "sklearn.base sklearn.gaussian_process sklearn.neural_network dask pytest"
    assert loaded_by(name, doing=f"{name}.import_skops()", heavy=heavy) == ["sklearn.base"]
