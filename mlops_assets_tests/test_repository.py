"""What people look for in a repository: its licence, pages, hooks and workflow name only what is there."""

import ast
import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from mlops_assets_tests.documents import PAGES, ROOT, dead_links, links
from mlops_assets_tests.warm import TRUE_PYTHON

PACKAGE = ROOT / "mlops_assets"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
MORE_PAGES = (*sorted(set(ROOT.glob("*.md")) - {*PAGES}), ROOT / "docs" / "decisions" / "README.md", *DECISIONS)
EVERY_PAGE = (*PAGES, *MORE_PAGES)
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/**/__init__.py"))
HOOKS = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    for hook in repository["hooks"]
]
# Modules that files of others name, each with what these take from it.
ADDRESSES = {
    "mlops_assets.instance_storage": "ProjectStorage",
    "mlops_assets.automation.launcher": "WatchedRunLauncher",
    "mlops_assets.automation.celery_launcher": "WatchedCeleryLauncher",
    "mlops_assets.core.model": "_load_pyfunc",
    "mlops_assets.definitions": "defs",
    "mlops_assets.dashboards.plots": "plot",
}
# A path from the root, or from the package (`core/columns.py`), and a dotted name.
_FROM_ROOT = re.compile(
    r"(?<![\w/.-])(?:mlops_assets(?:_tests)?|docs|scripts|deploy|benchmarks|\.ci|\.github)/[\w./*-]*[\w*]/?"
)
_FROM_PACKAGE = re.compile(rf"`((?:{'|'.join(path.name for path in PACKAGE.iterdir() if path.is_dir())})/[\w./]*)`")
_DOTTED = re.compile(r"(?<![\w/.])mlops_assets(?:_tests)?(?:\.[A-Za-z_]\w*)+")
_PLACEHOLDER = "NAME"


def name_of(page):
    return str(page.relative_to(ROOT))


# Licence


def test_the_licence_of_the_package_is_the_one_in_the_file():
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004\s+https?://www\.apache\.org/licenses/\s", text)
    assert re.findall(r"^   (\d)\. ", text, re.MULTILINE) == [str(number) for number in range(1, 10)]
    assert "END OF TERMS AND CONDITIONS" in text
    assert not [name for name in PROJECT["classifiers"] if name.startswith("License")]  # the expression says it


def test_the_licence_goes_into_the_image():
    """Whoever builds the package there would be told that its licence is missing."""
    assert "!LICENSE" in (ROOT / ".dockerignore").read_text().splitlines()


# Pages


@pytest.mark.parametrize("page", MORE_PAGES, ids=name_of)
def test_every_link_of_the_other_pages_leads_somewhere(page):
    assert dead_links(page) == []


def test_the_readme_lists_each_page_once():
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Documentation\n")[2]
    listed = [link for link in links(table) if link.endswith(".md")]
    assert len(listed) == len(set(listed))
    roots = {page.name for page in MORE_PAGES if page.parent == ROOT}
    assert {*roots, "docs/decisions/README.md"} <= set(listed)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_pages_name_only_paths_and_modules_that_exist(page):
    text = page.read_text(encoding="utf-8")
    paths = [(ROOT, path) for path in _FROM_ROOT.findall(text)] + [
        (PACKAGE, path) for path in _FROM_PACKAGE.findall(text)
    ]
    assert [path for root, path in paths if not any(root.glob(path)) and _PLACEHOLDER not in path] == []
    assert [name for name in _DOTTED.findall(text) if not is_there(name)] == []


def is_there(name):
    """Whether a dotted name is a module, or something that a module defines or imports."""
    path = ROOT.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    return path.name in names_in(path.parent)


@cache
def names_in(path):
    """What a module or a package has at its top."""
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else ():
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def test_names_are_found_where_they_are():
    assert is_there("mlops_assets.core")
    assert is_there("mlops_assets.core.columns")
    assert is_there("mlops_assets.errors.SpecError")
    assert not is_there("mlops_assets.core.colums")
    assert not is_there("mlops_assets.errors.SpekError")
    assert not is_there("mlops_assets.nowhere.at.all")


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_every_room_says_what_it_is_for(room):
    """In two lines or more: what it does, what comes in and what goes out."""
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len([line for line in text.splitlines() if line.strip()]) >= 2


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_says_why_and_what_follows(page):
    headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:3] == ["Context", "Decision", "Consequences"]


def test_decisions_are_numbered_and_listed():
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DECISIONS] == [link for link in links(index) if link[0].isdigit()]
    for number, page in zip(numbers, DECISIONS, strict=True):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_the_changelog_knows_the_version_and_what_is_to_come():
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert PROJECT["version"] in versions


def test_addresses_that_files_of_others_name_stay():
    """`dagster.yaml` of a deployment, models in MLflow, workspaces, plots of users."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("### Stays")[2].partition("\n## ")[0]
    assert set(_DOTTED.findall(text)) == set(ADDRESSES)
    assert [f"{module}.{name}" for module, name in ADDRESSES.items() if not is_there(f"{module}.{name}")] == []


# Hooks and workflow


def test_hooks_are_local_and_need_no_download():
    document = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in document["repos"]] == ["local"]
    assert {hook["language"] for hook in HOOKS} == {"system"}


@pytest.mark.parametrize("command", [hook["entry"] for hook in HOOKS])
def test_hooks_call_what_is_there(command):
    program, *words = command.split()
    if program == "make":
        assert_is_target(*words)
    else:
        assert (Path(TRUE_PYTHON).parent / Path(program).name).is_file()


def test_the_workflow_runs_the_script_that_every_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    triggers = workflow[True]  # to YAML 1.1, `on` is true
    assert set(triggers) == {"push", "pull_request"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    for target in re.findall(r"\bmake ([a-z-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8")):
        assert_is_target(target)


@pytest.mark.parametrize("page", MORE_PAGES, ids=name_of)
def test_pages_name_only_targets_of_make_that_exist(page):
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)):
        assert_is_target(target)


def assert_is_target(*targets):
    done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_path_of_one_machine_is_written_on_the_other_pages():
    files = [*MORE_PAGES, ROOT / ".pre-commit-config.yaml", ROOT / ".github" / "workflows" / "ci.yml"]
    found = [path.name for path in files if re.search(r"(?<![\w.])/(home|root|work|tmp|Users|opt)/", path.read_text())]
    assert found == []
