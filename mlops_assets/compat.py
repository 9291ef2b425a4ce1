"""Every use of what Dagster and MLflow keep private, each with its reason; no other module names such a thing.

Alembic is used by its public API alone. `test_compat.py` says what is relied on, so that it tells first where a new
release has changed it. At the top stands what `import dagster` loads anyhow; the rest is imported where it is used.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

# Freshness as the daemon has last seen it: `DagsterInstance.get_freshness_state_records` answers in these.
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateRecord

# What says of an output that its step has recorded by itself what is to be recorded.
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

# What asking a code server that is gone raises.
from dagster._core.errors import DagsterUserCodeUnreachableError

# The answer of `check_run_worker_health`, the method of a run launcher that run monitoring asks.
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

# Tags of a failed run: that Dagster is going to try it again, and the run that does so.
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

if TYPE_CHECKING:
    # What `dg.define_asset_job` gives, to be named where such jobs are handed on.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
    from dagster._core.storage.base_storage import DagsterStorage
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.runs import SqliteRunStorage
    from dagster._core.storage.schedules import SqliteScheduleStorage
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._serdes import ConfigurableClassData

__all__ = [
    "AUTO_RETRY_RUN_ID_TAG",
    "RECORDED",
    "WILL_RETRY_TAG",
    "AssetJob",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterGrpcClient",
    "DagsterStorage",
    "DagsterUserCodeUnreachableError",
    "FreshnessState",
    "FreshnessStateRecord",
    "LoggedRun",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "WorkerStatus",
    "delete_logged_model_rows",
    "delete_run_rows",
    "execute_here",
    "has_run",
    "instance_of",
    "logged_runs",
    "make_mlflow_tables",
    "mlflow_revisions",
    "next_cron_time",
    "server_of",
    "set_repeater",
    "set_run_logger",
    "sqlite_storage",
    "version_tags",
    "without_second_look",
]

# Metadata of an asset's output that records nothing by itself: its step has recorded the periods that it made.
RECORDED = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}


def __getattr__(name: str) -> Any:
    """Classes of Dagster's storage, loaded when they are asked for: with them comes SQLAlchemy.

    `DagsterStorage` is what the class of a storage in dagster.yaml has to descend from; the others are its parts in
    SQLite: `SqliteEventLogStorage` keeps the events of each run in a file of its own.
    """
    if name == "DagsterStorage":
        from dagster._core.storage.base_storage import DagsterStorage

        return DagsterStorage
    if name == "SqliteEventLogStorage":
        from dagster._core.storage.event_log import SqliteEventLogStorage

        return SqliteEventLogStorage
    if name == "SqliteRunStorage":
        from dagster._core.storage.runs import SqliteRunStorage

        return SqliteRunStorage
    if name == "SqliteScheduleStorage":
        from dagster._core.storage.schedules import SqliteScheduleStorage

        return SqliteScheduleStorage
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def sqlite_storage(folder: str, data: ConfigurableClassData) -> DagsterSqliteStorage:
    """Dagster's own storage below a folder: the one that it takes where dagster.yaml names none."""
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

    return DagsterSqliteStorage.from_local(folder, data)


def instance_of(launcher: dg.DefaultRunLauncher) -> dg.DagsterInstance:
    """The instance that a launcher works for, which it is told after it was made."""
    return launcher._instance


def server_of(launcher: dg.DefaultRunLauncher, run_id: str) -> DagsterGrpcClient | None:
    """A client of the code server that started a run; None where the run has ended or does not say.

    Where the server is stands in a tag of the run, which the launcher itself reads when it ends a run.
    """
    return launcher._get_grpc_client_for_termination(run_id)


def has_run(server: DagsterGrpcClient, run_id: str) -> bool:
    """Whether a code server has a process of the run; raises DagsterUserCodeUnreachableError.

    It is asked whether it could end the run, which is all that it tells of its processes.
    """
    from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

    answer = server.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id))
    return dg.deserialize_value(answer, CanCancelExecutionResult).can_cancel


def execute_here(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    location: str,
    repository: str,
    module: str,
    tags: Mapping[str, str],
    run_config: Mapping[str, object],
) -> dg.JobExecutionResult:
    """Execute a job in this process as a run of a code location, as the webserver and the daemon launch them.

    A run of `JobDefinition.execute_in_process` names no location: it stands neither on the timeline nor with its job.
    """
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run
    from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
    from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
    from dagster._core.workspace.load import location_origin_from_module_name

    origin = RemoteRepositoryOrigin(location_origin_from_module_name(module, "defs", None, location), repository)
    run = instance.create_run_for_job(
        job,
        run_config=run_config,
        tags={**job.run_tags, REPOSITORY_LABEL_TAG: origin.get_label(), **tags},
        remote_job_origin=RemoteJobOrigin(origin, job.name),
    )
    return execute_run(InMemoryJob(job), run, instance)


def set_repeater(repeating: Callable[..., Any]) -> None:
    """Let this context manager, of a path and a stream, repeat on the stream what a step's capture writes to the path.

    Dagster starts `tail` for each of a step's two streams, and a Python that watches it, and ends both with the step:
    on a busy machine the step's last lines are never seen (dagster-io/dagster#23336).
    """
    from dagster._core.execution import compute_logs

    compute_logs.tail_to_stream = repeating


def set_run_logger(logger: dg.LoggerDefinition) -> None:
    """Let the runs of this process whose config names no logger use this one.

    Dagster takes its coloured console logger for them, and has no setting for another.
    """
    from dagster._core.execution import context_creation_job

    context_creation_job.default_system_loggers = lambda instance: [(logger, {})]


def version_tags(context: dg.AssetExecutionContext, data_version: dg.DataVersion | None) -> dict[str, str]:
    """The tags by which Dagster knows what a materialisation was made from, as it writes them for an output.

    Without them it shows what a step records by itself as stale as soon as anything upstream is made again.
    """
    from dagster._core.execution.plan.execute_step import _build_data_version_tags, _get_input_provenance_data

    step = context.op_execution_context._step_execution_context
    inputs = _get_input_provenance_data(context.asset_key, step)
    code_version = context.assets_def.get_asset_spec(context.asset_key).code_version or ""
    return _build_data_version_tags(data_version or dg.DataVersion("none"), code_version, inputs, True)


def next_cron_time(cron: str, timezone: str | None, after: datetime) -> datetime:
    """When a schedule ticks next; the daemon goes by the same, also where clocks are put forward or back."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    return next(schedule_execution_time_iterator(after.timestamp(), cron, timezone))


def delete_run_rows(database: str, run_id: str) -> None:
    """Take a run that is marked as deleted out of MLflow's database, with its params, metrics and tags.

    The public API only marks; `mlflow gc` is a process of its own, and goes through the same method.
    """
    _store(database)._hard_delete_run(run_id)


def delete_logged_model_rows(database: str, model_id: str) -> None:
    """The same for a logged model."""
    _store(database)._hard_delete_logged_model(model_id)


class LoggedRun(NamedTuple):
    """A run of MLflow: its times in milliseconds since 1970, its newest metrics by name."""

    run_id: str
    name: str | None
    status: str
    start_time: int
    end_time: int | None
    tags: dict[str, str]
    params: dict[str, str]
    metrics: Mapping[str, float | None]


def logged_runs(database: str, experiment_id: str, since: int, page: int, most: int) -> Iterator[list[LoggedRun]]:
    """The newest runs of an experiment that began at `since` or later, newest first, from MLflow's own tables.

    The public API makes objects of every parameter, metric and tag, in twenty times the CPU.
    """
    import sqlalchemy as sa
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag

    fields = (SqlRun.run_uuid, SqlRun.name, SqlRun.status, SqlRun.start_time, SqlRun.end_time)
    is_asked = (
        SqlRun.experiment_id == int(experiment_id),
        SqlRun.lifecycle_stage == "active",
        SqlRun.start_time >= since,
    )
    value = sa.case((SqlLatestMetric.is_nan, None), else_=SqlLatestMetric.value)
    pairs = ((SqlTag, SqlTag.value), (SqlParam, SqlParam.value), (SqlLatestMetric, value))
    newest = sa.select(*fields).where(*is_asked).order_by(SqlRun.start_time.desc(), SqlRun.run_uuid).limit(most)
    engine = _store(database).engine
    with engine.connect() as connection:
        runs = connection.execute(newest).all()
    for start in range(0, len(runs), page):
        chosen = runs[start : start + page]
        ids = [run.run_uuid for run in chosen]
        columns = []
        with engine.connect() as connection:
            for table, content in pairs:
                by_run: dict[str, dict] = defaultdict(dict)
                asked = sa.select(table.run_uuid, table.key, content).where(table.run_uuid.in_(ids))
                for run_id, key, found in connection.execute(asked):
                    by_run[run_id][key] = found
                columns.append(by_run)
        yield [LoggedRun(*run, *(by_run[run.run_uuid] for by_run in columns)) for run in chosen]


def make_mlflow_tables(connection: sqlite3.Connection) -> None:
    """Make MLflow's tables in a SQLite database that is open, or bring them up to date; not undone by a kill.

    MLflow itself does so in the file that it is given, and `mlflow db upgrade` only there as well.
    """
    import sqlalchemy as sa
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool))


def mlflow_revisions() -> tuple[str, frozenset[str]]:
    """The revision that MLflow's tables are to be at, and all that this release of it knows."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    script = ScriptDirectory.from_config(_get_alembic_config(""))
    known = frozenset(step.revision for step in script.walk_revisions())
    return script.get_current_head() or "", known


@contextmanager
def without_second_look() -> Iterator[None]:
    """Let MLflow log a model without loading it to answer its example, which has been answered a moment before.

    And without comparing its requirements with what is installed, where they come from: for that MLflow looks at the
    files of every package of the environment.
    """
    from mlflow.models import utils
    from mlflow.utils import environment

    answer, compare = utils._validate_serving_input, environment.warn_dependency_requirement_mismatches
    utils._validate_serving_input = lambda model_uri, serving_input: None
    environment.warn_dependency_requirement_mismatches = lambda model_requirements: None
    try:
        yield
    finally:
        utils._validate_serving_input = answer
        environment.warn_dependency_requirement_mismatches = compare


def _store(database: str) -> Any:
    """MLflow's own access to its database; it keeps one for each."""
    from mlflow.tracking._tracking_service.utils import _get_store

    return _get_store(database)
