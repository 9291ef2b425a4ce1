"""Write the generated parts of the documentation, and `.env.example`: `python docs/generate.py`.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`. Everything around it is written by hand.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo
from typer.main import get_command

from mlops_assets.core.learners.model_types import shipped_model_types
from mlops_assets.core.learners.search_spaces import DISTRIBUTIONS, ModelTypeSpec, Parameter
from mlops_assets.dashboards.plots import PLOTS
from mlops_assets.dashboards.spec import Board
from mlops_assets.dataset import DatasetSpec
from mlops_assets.dataset.part import Part
from mlops_assets.dataset.parts import Alias, Period
from mlops_assets.settings import GROUPS, PREFIX
from mlops_assets.settings.fields import Group

ROOT = Path(__file__).resolve().parents[1]
ENV_EXAMPLE = ROOT / ".env.example"
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Alias: "alias", Period: "period"}
_WORDS |= {Any: "anything"}
# Variables of docker-compose.yml: default, and what they are.
STACK = {
    "STACK_BIND": ("127.0.0.1", "Address on which the three ports are open; every other is reached through a proxy."),
    "STACK_DAGSTER_PORT": ("3000", "Port of Dagster; MLOPS_DAGSTER_URL has to say the same."),
    "STACK_MLFLOW_PORT": ("5001", "Port of MLflow; MLOPS_MLFLOW_URL has to say the same."),
    "STACK_BACKEND_PORT": ("8000", "Port of predictions, form and dashboards."),
    "STACK_MLFLOW_NAME": ("localhost", "Name by which a proxy shows MLflow; it answers to no other."),
    "STACK_FILES": ("./files", "Folder with your own datasets, which containers see as /app/files."),
    "STACK_SECRETS": ("./secrets", "Folder of the password and the keys."),
    "STACK_DATABASE_URL": (
        "postgresql://mlops@postgres/mlops",
        "PostgreSQL that holds everything, where it is not the one that comes along.",
    ),
    "STACK_EXTRAS": ("", "Extras of the project that the image has, separated by commas."),
    "STACK_GPU": ("", "Any value builds the image with the libraries of NVIDIA."),
    "STACK_IMAGE": ("mlops-assets:0.1.0", "Name of the image."),
    "STACK_PYTHON_IMAGE": ("python:3.11.13-slim-bookworm", "What it is built on."),
    "STACK_POSTGRES_IMAGE": ("postgres:17.6-bookworm", "Image of PostgreSQL."),
}
_PLURAL = {"alias": "aliases", "text": "texts", "number": "numbers", "mapping": "mappings", "list": "lists"}


def pages() -> list[Path]:
    """Every page that may hold generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rendered(text: str) -> str:
    """A page with its generated parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[3]}", text)


def env_example() -> str:
    """`.env.example`: each setting with its description, commented out."""
    lines = ["# Copy to .env, and take the # away where you want another value. What each means: docs/settings.md."]
    for group in GROUPS:
        lines += ["", "", f"# {group.title}. {inspect.getdoc(group)}"]
        for name, field in group.model_fields.items():
            lines += ["", f"# {field.description}", f"#{PREFIX}{name.upper()}={_default(field)}"]
    lines += ["", "", "# Only docker-compose.yml reads what follows: docs/deployment.md."]
    for name, (default, description) in STACK.items():
        lines += ["", f"# {description}", f"#{name}={default}"]
    return "\n".join(lines) + "\n"


def stack_variables() -> str:
    rows = [(f"`{name}`", _code(default), description) for name, (default, description) in STACK.items()]
    return _table(("variable", "default", "what it is"), rows)


def settings_tables() -> str:
    """A section for each group of settings."""
    return "\n\n".join(map(_settings_section, GROUPS))


def _settings_section(group: type[Group]) -> str:
    rows = [
        (f"`{PREFIX}{name.upper()}`", _code(_default(field)), field.description)
        for name, field in group.model_fields.items()
    ]
    table = _table(("variable", "default", "what it is"), rows)
    return f"### {group.title}\n\n{inspect.getdoc(group)}\n\n{table}"


def dataset_keys() -> str:
    """A section for each part of a dataset's YAML, in the order in which one meets them."""
    return "\n\n".join(_section(path, part) for path, part in _parts("", DatasetSpec))


def model_types() -> str:
    rows = [
        (f"`{name}`", f"`{entry.import_path}`", _code(entry.matrix), ", ".join(f"`{free}`" for free in entry.free))
        for name, entry in shipped_model_types().items()
    ]
    return _table(("name", "import path", "matrix", "what a search varies"), rows)


def distributions() -> str:
    fields = Parameter.model_fields
    return _table(("written", "draws"), [(f"`{name}`", fields[name].description) for name in DISTRIBUTIONS])


def search_space_keys() -> str:
    fields = ModelTypeSpec.model_fields
    names = ("import_path", "matrix", "parameters", "start")
    return _table(("key", "is"), [(f"`{name}`", fields[name].description) for name in names])


def commands() -> str:
    """A section for each command of `mlops-assets`."""
    listed: list[tuple[str, Any]] = []
    for name, command in get_command(_app()).commands.items():
        inner = getattr(command, "commands", None) or {"": command}
        listed += [(f"{name} {part}".strip(), one) for part, one in inner.items()]
    return "\n\n".join(_command(name, command) for name, command in listed)


def checks() -> str:
    graph = _definitions().resolve_asset_graph()
    rows = []
    for key in graph.toposorted_asset_keys:
        asked = [graph.get(check) for check in graph.get_check_keys_for_assets({key})]
        for check in sorted(asked, key=lambda check: (not check.blocking, check.key.name)):
            at_worst = "stops" if check.blocking else "warns"
            rows.append((f"`{key.to_user_string()}`", f"`{check.key.name}`", check.description, at_worst))
    return _table(("asset", "check", "asks", "at worst"), rows)


def assets() -> str:
    """The default dataset's assets as Dagster knows them."""
    graph = _definitions().resolve_asset_graph()
    rows = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        partitions = node.partitions_def
        by = "" if partitions is None else "period" if hasattr(partitions, "cron_schedule") else "model type"
        rows.append((f"`{key.to_user_string()}`", node.group_name, by, node.description))
    return _table(("asset", "group", "partitions", "is"), rows)


def jobs() -> str:
    found = [job for job in _definitions().resolve_all_job_defs() if not job.name.startswith("__")]
    rows = []
    for job in found:
        selected = sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
        rows.append((f"`{job.name}`", ", ".join(f"`{name}`" for name in selected), job.description))
    return _table(("job", "assets", "does"), rows)


def dashboard_keys() -> str:
    """A section for each part of a dashboard's YAML."""
    return "\n\n".join(_section(path, part) for path, part in _parts("", Board))


def dashboard_sources() -> str:
    rows = [
        (f"`{name}`", source.description, ", ".join(f"`{c.name}`" for c in source.columns if c.kind != "mapping"))
        for name, source in _dashboards().sources.items()
    ]
    return _table(("source", "rows", "columns"), rows)


def dashboard_plots() -> str:
    _dashboards()
    rows = [
        (f"`{name}`", plot.description, ", ".join(f"`{option}`" for option in plot.options.model_fields))
        for name, plot in sorted(PLOTS.items())
    ]
    return _table(("plot", "shows", "options"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings_tables,
    "stack-variables": stack_variables,
    "dataset-keys": dataset_keys,
    "model-types": model_types,
    "distributions": distributions,
    "search-space-keys": search_space_keys,
    "commands": commands,
    "checks": checks,
    "assets": assets,
    "jobs": jobs,
    "dashboard-keys": dashboard_keys,
    "dashboard-sources": dashboard_sources,
    "dashboard-plots": dashboard_plots,
}


def _app():
    from mlops_assets.cli import app

    return app


def _definitions():
    from mlops_assets.definitions import build_definitions
    from mlops_assets.project import open_project

    return build_definitions(open_project({}))


def _dashboards():
    from dagster import DagsterInstance

    from mlops_assets.dashboards.context import Catalogue, open_dashboards
    from mlops_assets.dashboards.sources.serving import Sampler
    from mlops_assets.project import open_project

    return open_dashboards(open_project({}), DagsterInstance.ephemeral(), Catalogue(), Sampler(bytes))


def _parts(path: str, part: type[Part]) -> Iterator[tuple[str, type[Part]]]:
    yield path, part
    for name, hint in _hints(part).items():
        for place, inner in _inner_parts(hint):
            yield from _parts(f"{path}.{name}{place}".removeprefix("."), inner)


def _section(path: str, part: type[Part]) -> str:
    rows = []
    for name, hint in _hints(part).items():
        field = part.model_fields[name]
        default = "required" if field.is_required() else _code(_default(field))
        rows.append((f"`{field.alias or name}`", _type(hint), default, field.description or _docstring(hint)))
    title = f"`{path}`" if path else "Top level"
    if kind := _kind(part):
        title += f" of kind {kind}"
    return f"### {title}\n\n{inspect.getdoc(part)}\n\n" + _table(("key", "value", "default", "is"), rows)


def _hints(part: type[Part]) -> dict[str, Any]:
    hints = get_type_hints(part, include_extras=True)
    return {name: hints[name] for name in part.model_fields}


def _inner_parts(hint: Any) -> Iterator[tuple[str, type[Part]]]:
    """The parts inside a type, each with how its place is written: `[]` in a list, `.<alias>` in a mapping."""
    if isinstance(hint, type) and issubclass(hint, Part):
        yield "", hint
    place = {tuple: "[]", dict: ".<alias>"}.get(get_origin(hint), "")
    for argument in get_args(hint):
        for inner, part in _inner_parts(argument):
            yield place + inner, part


def _docstring(hint: Any) -> str:
    """What the one part inside a type says of itself; a choice of parts says nothing here."""
    found = [part for _, part in _inner_parts(hint)]
    return inspect.getdoc(found[0]).partition("\n")[0] if len(found) == 1 else ""


def _kind(part: type[Part]) -> str:
    field = part.model_fields.get("kind")
    return f"`{get_args(field.annotation)[0]}`" if field else ""


def _type(hint: Any) -> str:
    """A type in words."""
    arguments = [item for item in get_args(hint) if item is not type(None)]
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, Part):
        return f"mapping of kind {kind}" if (kind := _kind(hint)) else "mapping"
    match get_origin(hint):
        case origin if origin is Literal:
            named = ", ".join(f"`{value}`" for value in arguments)
            return f"one of {named}" if len(arguments) > 1 else named
        case origin if origin is Annotated:
            return _type(arguments[0])
        case origin if origin is dict:
            return f"{_type(arguments[0])}: {_type(arguments[1])}"
        case origin if origin is tuple and Ellipsis in arguments:
            inner = _type(arguments[0])
            return f"list of {inner if '`' in inner else re.sub('[a-z]+', _plural, inner)}"
        case origin if origin is tuple:
            return f"[{', '.join(map(_type, arguments))}]"
    return " or ".join(map(_type, arguments))


def _plural(word: re.Match) -> str:
    return _PLURAL.get(word[0], word[0])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value == () or isinstance(value, dict | Part):
        return ""
    if isinstance(value, tuple) and isinstance(value[0], Part):
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _command(name: str, command: Any) -> str:
    rows = []
    for parameter in command.params:
        is_option = parameter.param_type_name == "option"
        shown = ", ".join(parameter.opts) if is_option else parameter.name.upper()
        default = "required" if parameter.required else _code("" if parameter.default is None else parameter.default)
        rows.append((f"`{shown}`", default, parameter.help))
    table = "\n\n" + _table(("argument or option", "default", "is"), rows) if rows else ""
    return f"### `mlops-assets {name}`\n\n{command.help}{table}"


def _code(value: object) -> str:
    return f"`{value}`" if value not in ("", None) else ""


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(headings)]
    lines.append(["---"] * len(lines[0]))
    lines += [[str(cell or "").replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    for page in pages():
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")
    ENV_EXAMPLE.write_text(env_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
