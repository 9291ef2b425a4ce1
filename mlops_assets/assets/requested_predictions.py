"""`requested_predictions`: the job `predict` answers the rows that its run config holds or names.

Its answers are kept under the run's id, and recorded as a materialisation of `requested_predictions`. They are
no part of the pipeline: nothing is made from them, and nothing makes them stale.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.entry import OWNERS, pages
from mlops_assets.assets.memo import clear_failures
from mlops_assets.dataset import DatasetSpec, SqlSource
from mlops_assets.errors import InputError, TrackingError
from mlops_assets.project import Project
from mlops_assets.settings import environment

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns
    from mlops_assets.core.model.answers import Answers
    from mlops_assets.core.model.model import Model
    from mlops_assets.resources.mlflow.version import Version
    from mlops_assets.sources.database import Database

NAME, JOB, OP = "requested_predictions", "predict", "answer"
MOST_SHOWN = 100
_SOURCES = ("rows", "file", "table", "query")
_VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class PredictConfig(dg.Config):
    """What to predict: exactly one of `rows`, `file`, `table` and `query`.

    The columns of a file, table or query have the aliases of the inputs, or the names that the source has for them.
    """

    rows: list[dict] = Field(
        [], description="Rows as objects of inputs by alias; an absent input is missing. Empty: one of the next three."
    )
    file: str = Field(
        "", description="Path or URL of a .json, .csv or .parquet file, as the run sees it. Empty: one of the others."
    )
    table: str = Field(
        "", description="Table or view; ${NAME} is taken from the environment. Empty: one of the others."
    )
    query: str = Field(
        "", description="SELECT statement, instead of a table; ${NAME} as there. Empty: one of the others."
    )
    url_variable: str = Field(
        "",
        description="Name of the environment variable that holds the SQLAlchemy URL of the table or query. "
        "Empty: the dataset's own database.",
    )
    version: int = Field(0, ge=0, description="Version of the model. 0: the champion.")


def requested_predictions(project: Project) -> dg.AssetSpec:
    """What the asset's page says; its materialisations come from the job."""
    return dg.AssetSpec(
        NAME,
        deps=["champion_model"],
        description="Answers to rows that were sent with a run of the job `predict`, by run.",
        group_name="prediction",
        owners=OWNERS,
        kinds={"python", "parquet"},
        metadata=pages(project, "predictions", in_mlflow=True),
    )


def build_predict_job(project: Project) -> dg.JobDefinition:
    """The job that answers what its run config asks; launched as it is, it answers the row of `example_row`."""

    @dg.op(name=OP, description="Answers the rows, and keeps the answers under the run's id.")
    def answer(context: dg.OpExecutionContext, config: PredictConfig, project: dg.ResourceParam[Project]) -> None:
        with clear_failures(project):
            context.log_event(_answer(context, project, config))

    @dg.job(
        name=JOB,
        description="Answer rows, a file, a table or a query with the champion or another version.",
        tags={"dagster/priority": "1"},  # somebody waits for it: before the parts of a retraining in the queue
        config={"ops": {OP: {"config": {"rows": [example_row(project.spec)]}}}},
    )
    def predict():
        answer()

    return predict


def example_row(spec: DatasetSpec) -> dict[str, Any]:
    """A row to change in the Launchpad: the example of the spec, made up where it has none, of the right types."""
    return {alias: spec.example.get(alias, _made_up(spec, alias)) for alias in spec.inputs()}


def _made_up(spec: DatasetSpec, alias: str) -> Any:
    kind = spec.columns[alias].type
    if kind == "time":
        start = spec.time.cadence.start(spec.time.first) if spec.time else datetime(2024, 1, 1)
        return start.replace(hour=8).isoformat()
    if kind == "text":
        return next(
            (spec.redact(str(rule.one_of[0])) for rule in spec.rows if rule.column == alias and rule.one_of), "?"
        )
    numeric = spec.features.numeric.get(alias)
    middle = sum(numeric.clip) / 2 if numeric and numeric.clip else 1
    return round(middle) if kind == "integer" else middle


def _answer(context: dg.OpExecutionContext, project: Project, config: PredictConfig) -> dg.AssetMaterialization:
    from mlops_assets.resources.artefacts.requested_predictions import FOLDER, About

    version = _version(project, config.version)
    model = project.registry.load(version.number)
    chunks = _answered(model, _rows_to_predict(project, model, config))
    now, unit = datetime.now(UTC).isoformat(), project.target.unit
    about = About(context.run_id, now, version.number, version.model_type, unit)
    answers = project.requested_answers
    count = answers.write(about, chunks)
    if not count:
        raise InputError("there is no row to predict: what was named is empty")
    first = answers.read(context.run_id, 0, MOST_SHOWN)
    context.log.info(f"{count:,} answers of version {version.number} ({version.model_type})")
    return dg.AssetMaterialization(
        NAME,
        metadata={
            "dagster/row_count": count,
            "model_version": version.number,
            "model_type": version.model_type,
            "unit": unit,
            "answers": dg.MetadataValue.json(first.as_rows() if first else []),
            "path": f"{FOLDER}/{context.run_id}.parquet",
            "read_back": f"GET /runs/{context.run_id}/predictions",
            "registered_model": version.page,
        },
    )


def _answered(model: "Model", chunks: Iterator["Columns"]) -> "Iterator[tuple[Columns, Answers]]":
    """Each chunk with its answers; raises InputError naming the first row that cannot be answered."""
    from mlops_assets.core.columns import length, refuse_long_texts

    done = 0
    for columns in chunks:
        refuse_long_texts(columns, done)
        yield columns, model.answer_complete(columns, done)
        done += length(columns)


def _version(project: Project, number: int) -> "Version":
    version = project.registry.version(number) if number else project.registry.champion()
    if version is None:
        raise TrackingError(f"{project.spec.name} has no champion yet: run the pipeline first (mlops-assets run)")
    return version


def _rows_to_predict(project: Project, model: "Model", config: PredictConfig) -> Iterator["Columns"]:
    """The rows that the config holds or names, a chunk at a time."""
    from mlops_assets.core.columns import from_rows
    from mlops_assets.sources.caller_rows import (
        CHUNK_ROWS,
        LABEL,
        Chunk,
        ChunkReader,
        rows_of_file,
        stream_query,
        stream_table,
    )

    named = [name for name in _SOURCES if getattr(config, name)]
    if len(named) != 1:
        raise InputError(f"give exactly one of {', '.join(_SOURCES)} (given: {', '.join(named) or 'none'})")
    if config.url_variable and named[0] not in ("table", "query"):
        raise InputError("url_variable is for a table or a query")
    if config.rows:
        return iter([from_rows(config.rows, model.spec)])
    spec, settings = project.spec, project.settings
    names = {alias: spec.source_name(alias) for alias in model.spec.inputs() if alias in spec.columns}
    reader = ChunkReader(model.spec, names)
    chunks: Iterator[Chunk]
    if config.file:
        chunks = rows_of_file(
            config.file,
            reader,
            spec,
            project.home / "downloads",
            timeout=settings.http_timeout,
            retries=settings.http_retries,
        )
    else:
        stream = stream_table if config.table else stream_query
        text = _VARIABLE.sub(lambda match: _variable(match[1]), config.table or config.query)
        chunks = reader.tables(stream(_database(project, config.url_variable), text, CHUNK_ROWS), LABEL)
    return (chunk.columns for chunk in chunks)


def _database(project: Project, variable: str) -> "Database":
    from mlops_assets.sources.database import Database
    from mlops_assets.sources.retries import Retry

    source, settings = project.spec.source, project.settings
    if variable:
        url, name = _variable(variable), f"the variable {variable}"
    elif isinstance(source, SqlSource):
        url, name = source.url, "source.url"
    else:
        raise InputError("the dataset's own source is no database: give url_variable")
    return Database(url, settings.http_timeout, Retry(settings.http_retries), name)


def _variable(name: str) -> str:
    if value := environment().get(name):
        return value
    # Whoever gave a value instead of a name shall not find it in the event log.
    what = f"the environment variable {name}" if _VARIABLE_NAME.fullmatch(name) else "what is named"
    raise InputError(f"{what} is not set where runs are made: give the name of a variable that is")
