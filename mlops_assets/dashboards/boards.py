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
from mlops_assets.dataset.yaml_files import LOADER
from mlops_assets.errors import SpecError
from mlops_assets.validation import complaint

SHIPPED = Path(__file__).parent / "boards"
LARGEST_FILE = 200_000  # characters
MOST_NODES = 5_000  # mappings, lists and values: in a file, and in all of its pages together
MOST_FILLED_IN = 5_000_000  # characters, were each `$name` the longest value of its page
DEEPEST = 20  # of a node; a board that is right has seven
MOST_PAGES = 100  # of a file
LONGEST_PLAIN = 1_000  # characters of a plain or tagged value: YAML turns it into a number or a date where it can
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

    @property
    def address(self) -> str:
        """What follows the address of the dashboards."""
        return f"?board={self.slug}"


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
    document = _document(file)
    if not isinstance(document, dict):
        raise SpecError(f"{file.name}.yaml must be a mapping with title and charts")
    pages = document.pop("pages", None)
    if pages is None:
        return (Page(file.name, file.name, _board(document, file.name)),)
    if not isinstance(pages, dict) or not all(isinstance(values, dict) for values in pages.values()) or not pages:
        raise SpecError(f"{file.name}.yaml: pages must be a mapping of page names to mappings")
    if len(pages) > MOST_PAGES:
        raise SpecError(f"{file.name}.yaml: {len(pages):,} pages are more than {MOST_PAGES}")
    for slug in pages:
        check_name(slug)
    if _size(document) * len(pages) > MOST_NODES:
        raise SpecError(f"{file.name}.yaml: there are more than {MOST_NODES:,} values, counted over all pages")
    longest = [max((len(str(value)) for value in values.values()), default=0) for values in pages.values()]
    if file.text.count("$") * sum(longest) > MOST_FILLED_IN:
        raise SpecError(
            f"{file.name}.yaml: what is put into its pages may be longer than {MOST_FILLED_IN:,} characters"
        )
    filled = {slug: _fill(document, values, f"{file.name}.yaml, page {slug}") for slug, values in pages.items()}
    return tuple(Page(slug, file.name, _board(document, file.name)) for slug, document in filled.items())


def _document(file: BoardFile) -> Any:
    """What the YAML says; looked through before anything is built: a short text can stand for a huge tree."""
    try:
        _look_through(file)
        return yaml.load(file.text, LOADER)
    except yaml.YAMLError as error:
        raise SpecError(f"{file.name}.yaml is not valid YAML: {' '.join(str(error).split())}") from None
    except (ValueError, OverflowError) as error:  # a date or number that there is not
        raise SpecError(f"{file.name}.yaml holds a value that cannot be read: {error!s:.200}") from None


def _look_through(file: BoardFile) -> None:
    """Raise SpecError where the text has aliases, too many nodes, or nodes too deep within each other."""
    depth = nodes = 0
    for event in yaml.parse(file.text, LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            alias = f"(*{event.anchor:.30})"
            raise SpecError(f"{file.name}.yaml, line {line}: aliases {alias} are not taken: repeat the text")
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.ScalarEvent) and (not event.style or event.tag) and len(event.value) > LONGEST_PLAIN:
            most = f"{LONGEST_PLAIN:,} characters"
            raise SpecError(f"{file.name}.yaml, line {line}: put a text of more than {most} in quotes")
        if nodes > MOST_NODES:
            raise SpecError(f"{file.name}.yaml: there are more than {MOST_NODES:,} values")
        if depth > DEEPEST:
            raise SpecError(f"{file.name}.yaml, line {line}: there are more than {DEEPEST} levels")


def _size(value: Any) -> int:
    """How many mappings, lists and values it holds, itself included."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, parts))


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
        problems = error.errors(include_url=False)
        raise SpecError("; ".join(f"{name}.yaml: {_explain(problem)}" for problem in problems[:5])) from None


def _explain(problem: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    message = complaint(problem)
    message = message[0].lower() + message[1:]
    if problem["type"] == "extra_forbidden":
        message = "is not a key"
    if place[:1] == ["charts"] and len(place) > 1:
        place = [f"chart {place[1]}", *(f"key {'.'.join(place[2:])}" for _ in place[2:3])]
        return f"{', '.join(place)}: {message}"
    return f"key {'.'.join(place)}: {message}" if place else message


def _fill(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """`value` with each `$name` replaced; a text that is nothing else becomes the value itself, such as a list.

    Raises SpecError where a name is not given.
    """
    if isinstance(value, dict):
        return {key: _fill(item, values, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values, where) for item in value]
    if not isinstance(value, str):
        return value

    def value_of(name: re.Match) -> Any:
        if name[1] not in values:
            raise SpecError(f"{where}: {name[0]} is not given (the page gives {', '.join(values)})")
        return values[name[1]]

    whole = _VARIABLE.fullmatch(value)
    return value_of(whole) if whole else _VARIABLE.sub(lambda name: str(value_of(name)), value)
