"""Dashboards as files: those that ship with the project, those of the user's folder, and their pages.

A file with `pages` makes one page for each of them: `$name` in its texts is replaced by what the page says of `name`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from mlops_assets.dashboards.spec import Board, Slug
from mlops_assets.errors import SpecError

SHIPPED = Path(__file__).parent / "boards"
LARGEST_FILE = 200_000  # characters
_VARIABLE = re.compile(r"\$([a-z][a-z0-9_]*)")
_SLUG = TypeAdapter(Slug)


@dataclass(frozen=True)
class BoardFile:
    """The YAML of a dashboard: `name` is that of its file, without the ending."""

    name: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page of the navigation: its address is `slug`, and `file` is the name of the file that it comes from."""

    slug: str
    file: str
    board: Board


def read_files(folder: Path | None) -> dict[str, BoardFile]:
    """The shipped files and those of the user's folder, which replace a shipped one of the same name.

    Raises SpecError where the folder or a file in it cannot be read.
    """
    files = {path.stem: _read(path) for path in sorted(SHIPPED.glob("*.yaml"))}
    if folder is None:
        return files
    if not folder.is_dir():
        raise SpecError(f"MLOPS_DASHBOARDS: {folder} is not a folder")
    users = [path for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".yml")]
    return files | {path.stem: _read(path) for path in users}


def parse(file: BoardFile) -> tuple[Page, ...]:
    """The pages of a file; raises SpecError that names the file, the chart and the key."""
    check_name(file.name)
    if len(file.text) > LARGEST_FILE:
        raise SpecError(f"{file.name}.yaml is longer than {LARGEST_FILE:,} characters")
    try:
        document = yaml.safe_load(file.text)
    except yaml.YAMLError as error:
        raise SpecError(f"{file.name}.yaml is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise SpecError(f"{file.name}.yaml must be a mapping with title and charts")
    pages = document.pop("pages", None)
    if pages is None:
        return (Page(file.name, file.name, _board(document, file.name)),)
    if not isinstance(pages, dict) or not all(isinstance(values, dict) for values in pages.values()) or not pages:
        raise SpecError(f"{file.name}.yaml: pages must be a mapping of page names to mappings")
    for slug in pages:
        check_name(slug)
    return tuple(
        Page(slug, file.name, _board(_fill(document, values, f"{file.name}.yaml, page {slug}"), file.name))
        for slug, values in pages.items()
    )


def check_name(name: Any) -> None:
    """Raise SpecError where a file or page has no name that can stand in an address."""
    try:
        _SLUG.validate_python(name)
    except ValidationError:
        raise SpecError(
            f"'{name}' cannot name a dashboard: use small letters, digits and -, and begin with a letter"
        ) from None


def _read(path: Path) -> BoardFile:
    try:
        return BoardFile(path.stem, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _board(document: Mapping[str, Any], name: str) -> Board:
    try:
        return Board.model_validate(document)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise SpecError("; ".join(f"{name}.yaml: {_explain(problem)}" for problem in problems[:5])) from None


def _explain(problem: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "extra_forbidden":
        message = "is not a key"
    if place[:1] == ["charts"] and len(place) > 1:
        place = [f"chart {place[1]}", *(f"key {'.'.join(place[2:])}" for _ in place[2:3])]
        return f"{', '.join(place)}: {message}"
    return f"key {'.'.join(place)}: {message}" if place else message


def _fill(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """`value` with each `$name` replaced; a text that is nothing else becomes the value itself, such as a list."""
    if isinstance(value, dict):
        return {key: _fill(item, values, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values, where) for item in value]
    if not isinstance(value, str):
        return value

    def value_of(name: str) -> Any:
        if name not in values:
            raise SpecError(f"{where}: ${name} is not given (the page gives {', '.join(values)})")
        return values[name]

    if whole := _VARIABLE.fullmatch(value):
        return value_of(whole[1])
    return _VARIABLE.sub(lambda match: str(value_of(match[1])), value)
