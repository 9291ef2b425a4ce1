"""First contact with MLflow: quiet, in bounded time, its schema made once, and no password in any message."""

import json
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlops_assets.database_urls import redact, schema_of
from mlops_assets.disks import damaged_database, disk_trouble, is_damage
from mlops_assets.errors import TrackingError
from mlops_assets.resources.databases.database import one_at_a_time
from mlops_assets.resources.mlflow.tables import LOST, prepare_tables, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# MLflow itself waits two minutes a request, tries eight times, prints links and bars, and reports its use.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes of its server that nothing here asks for
}
# What the packages of object stores raise by themselves, where MLflow's artefacts are in one.
_STORE_ERRORS = {
    "boto3.exceptions": ("Boto3Error",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "google.api_core.exceptions": ("GoogleAPIError",),
    "azure.core.exceptions": ("AzureError",),
}
SCHEMA_SECONDS = 120
_LONGEST_MESSAGE = 400
_LARGEST_BATCH = 100
_OTHER_SERVERS = ("mysql", "mssql")


def connect(uri: str) -> "MlflowClient":
    """A client of the tracking server or database, which MLflow's global functions use from now on too.

    A database gets its tables here, by one process at a time; for a new one that takes seconds.
    Raises TrackingError.
    """
    mlflow = import_mlflow()
    with tracking_errors(uri, "be opened (does it run, and is MLOPS_TRACKING_URI right?)"), _schema_lock(uri):
        _knock(uri)
        if file := sqlite_file(uri):
            prepare_tables(file)
        mlflow.set_tracking_uri(uri)
        client = mlflow.MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def import_mlflow() -> ModuleType:
    """The module, with our defaults for the variables that it reads; those that the user has set win."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in ("alembic", "mlflow.pyfunc"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they tell each step that goes well
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # writes tracebacks of what it raises
    return mlflow


@contextmanager
def tracking_errors(uri: str, doing: str, kinds: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn errors of MLflow, its database and its server, or those of `kinds`, into a TrackingError.

    Its message holds no password, and neither does its chain.
    """
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    kinds = kinds or (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)
    try:
        yield
    except Exception as error:
        if not isinstance(error, (*kinds, *_store_errors())):
            raise
        file = sqlite_file(uri)
        if file and is_damage(error):
            raise TrackingError(damaged_database(file, LOST)) from None
        if file and (trouble := disk_trouble(error, file)):
            raise TrackingError(f"MLflow in {file} cannot {doing}: {trouble}") from None
        cause = error.__cause__ or error
        reason = redact(uri, str(getattr(cause, "orig", None) or cause))  # a driver's own words, without the SQL
        reason = " ".join(reason.split())
        if len(reason) > _LONGEST_MESSAGE:  # the end of such a message says most
            reason = f"{reason[: _LONGEST_MESSAGE // 2]} … {reason[-_LONGEST_MESSAGE // 2 :]}"
        raise TrackingError(f"MLflow at {redact(uri, uri)} cannot {doing}: {reason}") from None


def _store_errors() -> tuple[type[Exception], ...]:
    """Those of the packages that are in use."""
    loaded = {name: sys.modules[name] for name in _STORE_ERRORS if name in sys.modules}
    return tuple(getattr(module, kind) for name, module in loaded.items() for kind in _STORE_ERRORS[name])


def search_runs(client: "MlflowClient", experiment_id: str, filter_string: str) -> "Iterator[Run]":
    """All runs of an experiment that match, page by page."""
    token = None
    while True:
        page = client.search_runs([experiment_id], filter_string, max_results=1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def write_batch(
    client: "MlflowClient",
    run_id: str,
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    tags: Mapping[str, str],
    at: float,
) -> None:
    """Log to a run; the same call again changes nothing.

    A parameter is written as JSON, so that its type survives. A metric that is None is left out.
    `at`: seconds since 1970.
    """
    from mlflow.entities import Metric, Param, RunTag

    milliseconds = int(at * 1000)
    measured = [Metric(name, float(value), milliseconds, 0) for name, value in metrics.items() if value is not None]
    written = [Param(name, json.dumps(value, default=_plain)) for name, value in params.items()]
    client.log_batch(
        run_id,
        metrics=measured,
        params=written[:_LARGEST_BATCH],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    for start in range(_LARGEST_BATCH, len(written), _LARGEST_BATCH):
        client.log_batch(run_id, params=written[start : start + _LARGEST_BATCH])


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python number JSON can write."""
    return value.item()


def _knock(uri: str) -> None:
    """Fail at once where a database server does not answer; MLflow would try for minutes."""
    from sqlalchemy import NullPool, create_engine

    if uri.startswith(_OTHER_SERVERS):
        create_engine(uri, poolclass=NullPool).connect().close()


@contextmanager
def _schema_lock(uri: str) -> Iterator[None]:
    """One process at a time where the tables are made from here: two that do so at once fail."""
    from filelock import FileLock

    if uri.startswith("postgresql"):
        with one_at_a_time(uri, schema_of(uri)):
            yield
        return
    file = sqlite_file(uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock", timeout=SCHEMA_SECONDS):
        yield
