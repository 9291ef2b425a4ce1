"""What a dataset is: one YAML file, checked into a frozen `DatasetSpec`.

Everything after ingest knows the aliases of this file and no real column name.
"""

import logging
import re
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator

from mlops_assets.dataset.checks import problems
from mlops_assets.dataset.dialect import Column, Dialect
from mlops_assets.dataset.old_keys import renewed, uri_now
from mlops_assets.dataset.part import Part
from mlops_assets.dataset.parts import (
    Alias,
    Direction,
    Expectation,
    Features,
    Gate,
    RowRule,
    Source,
    Split,
    Time,
    Window,
)
from mlops_assets.dataset.target import Target
from mlops_assets.dataset.yaml_files import read_yaml
from mlops_assets.errors import SpecError
from mlops_assets.validation import complaint

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SHIPPED = Path(__file__).parent / "shipped"
SNAPSHOT = "snapshot"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class DatasetSpec(Part):
    """A dataset: where its rows are, what they mean and what is learnt from them."""

    name: Alias = Field(description="Short name; also of the MLflow experiment and the registered model.")
    description: str = Field("", description="A sentence for people.")
    source: Source = Field(description="Where its rows are: files, sql, package or delta.")
    columns: dict[Alias, Column] = Field(min_length=1, description="Alias to source column; no others are read.")
    time: Time | None = Field(None, description="Left out: one snapshot, split by a hash of the key.")
    key: tuple[Alias, ...] = Field((), description="Columns that identify a row of a snapshot; all where left out.")
    target: Target = Field(description="What is predicted.")
    weights: Alias | None = Field(
        None, description="A number column: how much each row counts in fits. Left out: all the same."
    )
    rows: tuple[RowRule, ...] = Field((), description="Rules that clean data keeps.")
    features: Features = Field(description="What a caller knows before the event.")
    monotone: dict[Alias, Direction] = Field(
        default_factory=dict,
        description="Number features of which a greater value, all else equal, never lowers what is predicted (`up`), "
        "or never raises it (`down`). Learnt so by XGBoost, LightGBM, CatBoost and HistGradientBoosting.",
    )
    window: Window = Field(default_factory=Window)
    split: Split = Field(default_factory=Split)
    gate: Gate = Field(default_factory=Gate)
    expect: tuple[Expectation, ...] = Field(
        (), description="How each candidate has to behave, whatever the truth; of two classes, in the probability."
    )
    example: dict[Alias, str | int | float] = Field(
        {}, description="A row to predict, such as a real one: what the launchpad of the job `predict` begins with."
    )

    _hidden: dict[str, str] = PrivateAttr(default_factory=dict)
    _old_keys: tuple[str, ...] = PrivateAttr(())

    def redact(self, text: str) -> str:
        """`text` with every value that came from the environment put back as its `${NAME}`."""
        return _redact(text, self._hidden)

    def hides(self, name: str) -> bool:
        """Whether a name came from the environment, as a whole or in part."""
        return self.redact(name) != name

    def source_names(self, alias: str) -> tuple[str, ...]:
        """The real names of the columns that it is made of; only sources may ask for them."""
        name = self.columns[alias].source_name
        return name if isinstance(name, tuple) else (alias if name is None else name,)

    def source_name(self, alias: str) -> str:
        """The column's real name, or the alias where it is made of several; only sources may ask for it."""
        names = self.source_names(alias)
        return names[0] if len(names) == 1 else alias

    def written(self) -> dict[str, Column]:
        """The columns as the source writes them: what it says of all is said of each."""
        source = self.source
        dialect = source if isinstance(source, Dialect) else Dialect(missing=source.missing)
        return {alias: column.written_in(dialect) for alias, column in self.columns.items()}

    def as_callers_write(self) -> dict[str, Column]:
        """The inputs as rows to predict write them."""
        return {alias: self.columns[alias].as_callers_write() for alias in self.inputs()}

    def used_columns(self) -> tuple[str, ...]:
        """Aliases of all columns that are read from the source, in the YAML's order."""
        return tuple(self.columns)

    def inputs(self) -> tuple[str, ...]:
        """Aliases that a prediction needs, in the YAML's order."""
        return self._inputs

    @cached_property
    def _inputs(self) -> tuple[str, ...]:
        features = self.features
        names = {*features.categories, *features.numeric, *features.calendar}
        names |= {alias for derived in features.derived.values() for alias in derived.of}
        return tuple(alias for alias in self.columns if alias in names)

    @property
    def old_keys(self) -> tuple[str, ...]:
        """Names in its YAML that have become others: a sentence for each."""
        return self._old_keys

    @field_validator("example", mode="before")
    @classmethod
    def _times_as_text(cls, row: Any) -> Any:
        """YAML reads what looks like a time as one."""
        if not isinstance(row, dict):
            return row
        return {alias: value.isoformat() if isinstance(value, date) else value for alias, value in row.items()}

    @model_validator(mode="before")
    @classmethod
    def _renewed(cls, document: Any) -> Any:
        return renewed(document)[0]

    @field_validator("target", mode="before")
    @classmethod
    def _told_kind(cls, target: Any, so_far: ValidationInfo) -> Any:
        """A column of booleans tells that there are two classes."""
        if not isinstance(target, dict) or target.get("kind") is not None:
            return target
        columns = so_far.data.get("columns", {})
        is_told = any(alias == target.get("column") and column.true_words for alias, column in columns.items())
        return target | {"kind": "binary"} if is_told else target

    @model_validator(mode="after")
    def _fits_together(self) -> "DatasetSpec":
        if text := "; ".join(problems(self)):
            raise ValueError(text)
        return self


def shipped_datasets() -> tuple[str, ...]:
    """Names of the datasets that come with the project."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def load_dataset(name_or_path: str, env: Mapping[str, str], source_uri: str | None = None) -> DatasetSpec:
    """Read, expand and check a dataset's YAML.

    `name_or_path`: a shipped name or a file. `env`: where `${NAME}` is looked up.
    `source_uri`: replaces the place the YAML names (a URI, or the URL of a database).
    Raises SpecError that names the file, the key and what to do.
    """
    path = _find(name_or_path)
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise SpecError(f"{path.name} must be a mapping with name, source, columns, target and features")
    hidden: dict[str, str] = {}
    document = _expand(document, env, hidden, path.name)
    if source_uri:
        hidden[source_uri] = "${MLOPS_SOURCE_URI}"
        document["source"] = _move(document.get("source"), source_uri, path.name)
    document, told = renewed(document)
    hidden |= {uri_now(value): name for value, name in hidden.items()}
    problem = ""
    try:
        spec = DatasetSpec.model_validate(document)
    except ValidationError as error:
        problem = "; ".join(_explain(item) for item in error.errors(include_url=False))
    if problem:  # raised out here: the error behind it holds what is hidden
        raise SpecError(f"{path.name}: {_redact(problem, hidden)}") from None
    spec._hidden.update(hidden)
    spec._old_keys = told
    if told:
        logging.getLogger(__name__).warning("%s: %s; the old names still work", path.name, "; ".join(told))
    return spec


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise SpecError(f"the dataset file {name_or_path} does not exist")
        return path
    if name_or_path not in shipped_datasets():
        names = ", ".join(shipped_datasets())
        raise SpecError(f"'{name_or_path}' is not a dataset: use one of {names}, or the path of a YAML file")
    return SHIPPED / f"{name_or_path}.yaml"


def _expand(value: Any, env: Mapping[str, str], hidden: dict[str, str], file: str) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, env, hidden, file) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, env, hidden, file) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if not env.get(name):
            raise SpecError(f"{file} needs the environment variable {name}, which is not set")
        hidden[env[name]] = match.group(0)
        return env[name]

    return _VARIABLE.sub(replace, value)


def _move(source: Any, uri: str, file: str) -> Any:
    kind = source.get("kind") if isinstance(source, dict) else None
    if kind not in ("files", "sql", "delta"):
        raise SpecError(f"MLOPS_SOURCE_URI cannot move {file}: its source is not of kind files, sql or delta")
    return source | {"url" if kind == "sql" else "uri": uri}


def _explain(problem: "ErrorDetails") -> str:
    where = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    message = "is not a key of a dataset" if problem["type"] == "extra_forbidden" else complaint(problem)
    return f"{where}: {message}" if where else message


def _redact(text: str, hidden: Mapping[str, str]) -> str:
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, hidden[value])
    return text
