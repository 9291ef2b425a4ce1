"""What the code behind each asset is: the modules that its computation reaches, and a digest of each."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import mlops_assets
from mlops_assets.assets.entry import AssetEntry
from mlops_assets.assets.registry import ENTRIES

PACKAGE = Path(mlops_assets.__file__).parent
# Rooms whose code is followed. Stores, MLflow and settings decide where things go, not what they are.
COMPUTES = ("assets", "core", "sources")
# They ask registered models, which the registry loads.
ASK_MODELS = dict.fromkeys(
    ("assets.drift_report", "assets.leaderboard", "assets.predictions", "assets.realised"), ("core.model.model",)
)
# How a thing is fetched, recorded, shown or listed: a change there changes no content.
SHOWS = {
    "assets.checks",
    "assets.entry",
    "assets.expectations",
    "assets.explanations",
    "assets.jobs",
    "assets.memo",
    "assets.model_card",
    "assets.plan",
    "assets.records",
    "assets.registry",
    "core.fingerprint",
    "core.monitor.drift_views",
    "core.prepare.lineage",
    "core.types",
    "sources.caller_rows",
    "sources.database",
    "sources.places",
    "sources.remote",
    "sources.retries",
}
SHOW_ROOMS = ("core.explain.", "core.report.")


def code_of(entry: AssetEntry) -> dict[str, str]:
    """Digests by module of the code that an asset's content comes from; those of other assets stop at their file."""
    home = _name(entry.build.__module__)
    others = {_name(other.build.__module__) for other in ENTRIES} - {home}
    reached, waiting = set(), [home]
    while waiting:
        module = waiting.pop()
        if module not in reached and module not in others and _computes(module):
            reached.add(module)
            waiting += (*_imported(module), *ASK_MODELS.get(module, ()))
    return {module: _digest(module) for module in sorted(reached)}


@cache
def _digest(module: str) -> str:
    return digest_of(_path(module).read_text(encoding="utf-8"))


def digest_of(source: str) -> str:
    """A digest of code without its comments, docstrings and layout."""
    return hashlib.sha256(repr(_shape(ast.parse(source))).encode()).hexdigest()[:12]


def _shape(node: object) -> object:
    """A syntax tree as nested tuples that are the same in every release of Python."""
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if name not in ("ctx", "kind", "type_ignores")}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _docstring(node):
            fields["body"] = node.body[1:]
        return (
            type(node).__name__,
            *((name, _shape(value)) for name, value in fields.items() if value not in ([], None)),
        )
    return tuple(map(_shape, node)) if isinstance(node, list) else repr(node)


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _computes(module: str) -> bool:
    return module.startswith(COMPUTES) and module not in SHOWS and not module.startswith(SHOW_ROOMS)


@cache
def _imported(module: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_imports(ast.parse(_path(module).read_text(encoding="utf-8")))))


def _imports(tree: ast.AST) -> Iterator[str]:
    """Modules of the package that code imports anywhere, but for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlops_assets."):
            base = _name(node.module or "")
            for alias in node.names:
                yield f"{base}.{alias.name}" if _is_module(f"{base}.{alias.name}") else base
        yield from _imports(node)


def _name(module: str) -> str:
    return module.removeprefix("mlops_assets.")


def _path(module: str) -> Path:
    place = PACKAGE.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _is_module(module: str) -> bool:
    return _path(module).is_file()
