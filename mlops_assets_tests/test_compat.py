"""The private doors of Dagster and MLflow: what is relied on behind each, and that nobody else opens one."""

import ast
import inspect
import json
import logging
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

import mlops_assets
from mlops_assets import compat

PACKAGE = Path(mlops_assets.__file__).parent
OTHERS = ("dagster", "mlflow", "alembic")
# Private attributes that are asked for by name, on objects of theirs.
ATTRIBUTES = {
    "_get_grpc_client_for_termination",
    "_get_store",
    "_hard_delete_logged_model",
    "_hard_delete_run",
    "_instance",
    "_step_execution_context",
    "_validate_serving_input",
    "_event_log_storage",
    "default_system_loggers",
}
OF_TUPLES = {"_asdict", "_fields", "_make", "_replace"}  # their public methods, named so for the sake of their fields


def parameters(function):
    return list(inspect.signature(function).parameters)


def names_imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_private(name, defined):
    looks_so = name.startswith("_") and not name.startswith("__")
    return looks_so and name not in OF_TUPLES | defined


def names_defined(tree):
    """What a module defines or sets itself: its own private attributes are no doors of others."""
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stored = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    fields = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return functions | stored | fields


def private_doors(source):
    """What a module's source names of the private parts of Dagster, MLflow and Alembic.

    A private attribute is theirs where the module imports them and has none of that name itself.
    """
    tree = ast.parse(source)
    theirs, defined = any(name.startswith(OTHERS) for name in names_imported(tree)), names_defined(tree)
    for name in names_imported(tree):
        first, *inner = name.split(".")
        if first.startswith(OTHERS) and any(part.startswith("_") for part in inner):
            yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value.startswith(tuple(f"{other}._" for other in OTHERS)):
                yield node.value
        elif theirs and isinstance(node, ast.Attribute) and is_private(node.attr, defined):
            yield node.attr


@pytest.mark.parametrize(
    "source",
    [
        "from dagster._core.errors import DagsterError",
        "def f():\n    import mlflow.tracking._tracking_service.utils",
        "from mlflow.tracking import _tracking_service",
        "import_module('dagster._core')",
        "from alembic.script import ScriptDirectory\nScriptDirectory('.')._upgrade_revs('head', None)",
    ],
)
def test_a_private_door_is_seen(source):
    assert list(private_doors(source))


def test_no_other_module_goes_through_a_private_door():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "compat.py":
            assert not list(private_doors(path.read_text(encoding="utf-8"))), path.relative_to(PACKAGE)


def test_each_private_attribute_that_is_relied_on_is_named_here():
    used = set(private_doors((PACKAGE / "compat.py").read_text(encoding="utf-8")))
    assert {name for name in used if "." not in name} <= ATTRIBUTES


def test_the_module_exports_what_it_says():
    only_types = {"AssetJob", "ConfigurableClassData", "DagsterGrpcClient"}
    assert all(hasattr(compat, name) for name in set(compat.__all__) - only_types)
    with pytest.raises(AttributeError, match="has no attribute 'DagsterCloud'"):
        _ = compat.DagsterCloud


def test_freshness_is_told_in_records_of_a_state_a_time_and_a_key():
    assert {state.value for state in compat.FreshnessState} >= {"PASS", "WARN", "FAIL", "UNKNOWN"}
    for name in ("entity_key", "freshness_state", "updated_at"):
        assert hasattr(compat.FreshnessStateRecord, name)
    assert parameters(dg.DagsterInstance.get_freshness_state_records) == ["self", "keys"]


def test_the_tags_of_a_retry_are_those_that_saved_runs_have():
    assert (compat.WILL_RETRY_TAG, compat.AUTO_RETRY_RUN_ID_TAG) == ("dagster/will_retry", "dagster/auto_retry_run_id")


def test_a_launcher_answers_with_a_status_and_why():
    result = compat.CheckRunHealthResult(compat.WorkerStatus.NOT_FOUND, "gone")
    assert (result.status, result.msg) == (compat.WorkerStatus.NOT_FOUND, "gone")
    assert {status.name for status in compat.WorkerStatus} >= {"RUNNING", "NOT_FOUND", "UNKNOWN"}
    assert parameters(dg.DefaultRunLauncher.check_run_worker_health) == ["self", "run"]


def test_a_launcher_knows_its_instance_and_the_server_that_a_run_names():
    with dg.DagsterInstance.ephemeral() as instance:
        launcher = dg.DefaultRunLauncher()
        launcher.register_instance(instance)
        assert compat.instance_of(launcher) is instance
        tags = {".dagster/grpc_info": json.dumps({"host": "localhost", "port": 1})}
        started = instance.add_run(dg.DagsterRun("a", status=dg.DagsterRunStatus.STARTED, tags=tags))
        silent = instance.add_run(dg.DagsterRun("a", status=dg.DagsterRunStatus.STARTED))
        assert compat.server_of(launcher, silent.run_id) is None
        server = compat.server_of(launcher, started.run_id)
    assert (server.host, server.port, server.socket) == ("localhost", 1, None)
    with pytest.raises(compat.DagsterUserCodeUnreachableError):
        compat.has_run(server, started.run_id)


def test_a_server_is_asked_for_a_run_by_whether_it_could_end_it():
    from dagster._grpc.types import CanCancelExecutionResult

    class Server:
        def can_cancel_execution(self, request):
            return dg.serialize_value(CanCancelExecutionResult(can_cancel=request.run_id == "a"))

    assert compat.has_run(Server(), "a")
    assert not compat.has_run(Server(), "b")


def test_a_storage_of_dagster_yaml_is_chosen_by_its_class(tmp_path):
    from dagster._serdes import ConfigurableClassData

    chosen = []

    class Chooser(compat.DagsterStorage[dg.DagsterInstance]):
        @classmethod
        def config_type(cls):
            return {}

        @classmethod
        def from_config_value(cls, inst_data, config_value):
            chosen.append(config_value)
            return compat.sqlite_storage(str(tmp_path), inst_data)

    globals()["Chooser"] = Chooser
    data = ConfigurableClassData(__name__, "Chooser", "{}\n")
    storage = data.rehydrate(as_type=compat.DagsterStorage)
    assert chosen == [{}]
    assert storage.inst_data is data
    assert isinstance(storage, compat.DagsterStorage) and not isinstance(storage, Chooser)
    storage.dispose()
    assert list(tmp_path.iterdir())


def test_a_job_that_is_executed_here_is_a_run_of_its_code_location():
    @dg.op
    def speak(context):
        return context.run.tags["mood"]

    @dg.job(executor_def=dg.in_process_executor)
    def speaking():
        speak()

    with dg.DagsterInstance.ephemeral() as instance:
        result = compat.execute_here(
            speaking, instance, "place", "repository", "somewhere.definitions", {"mood": "fine"}, {}
        )
        run = instance.get_run_by_id(result.run_id)
    assert (result.success, run.job_name, run.tags["mood"]) == (True, "speaking", "fine")
    selector = run.remote_job_origin.repository_origin.get_selector()
    assert (selector.location_name, selector.repository_name) == ("place", "repository")
    assert run.tags[".dagster/repository"] == "repository@place"


def test_what_a_step_prints_is_repeated_by_who_was_set(monkeypatch, tmp_path):
    from dagster._core.execution import compute_logs

    monkeypatch.setattr(compute_logs, "tail_to_stream", compute_logs.tail_to_stream)
    assert parameters(compute_logs.tail_to_stream) == ["path", "stream"]
    asked = []

    @contextmanager
    def remembering(path, stream):
        asked.append((path, stream))
        yield

    compat.set_repeater(remembering)
    with (tmp_path / "said").open("w") as stream:
        with compute_logs.mirror_stream_to_file(stream, str(tmp_path / "captured")):
            stream.write("in a step")
        assert asked == [(str(tmp_path / "captured"), stream)]
    assert (tmp_path / "captured").read_text() == "in a step"


def test_runs_without_a_logger_in_their_config_use_the_one_that_was_set(monkeypatch):
    from dagster._core.execution import context_creation_job

    monkeypatch.setattr(context_creation_job, "default_system_loggers", context_creation_job.default_system_loggers)
    assert parameters(context_creation_job.default_system_loggers) == ["instance"]
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(record.dagster_meta["orig_message"])

    @dg.logger(config_schema={})
    def remembering(context):
        logger = logging.Logger("dagster")
        logger.addHandler(Handler())
        return logger

    @dg.op
    def speak(context):
        context.log.info("said")

    @dg.job
    def speaking():
        speak()

    compat.set_run_logger(remembering)
    assert speaking.execute_in_process().success
    assert "said" in lines


def test_the_next_time_of_a_cron_is_later_and_on_the_clock_of_its_zone():
    three_in_berlin = datetime(2024, 1, 2, 2, tzinfo=UTC)
    assert compat.next_cron_time("0 3 * * *", "Europe/Berlin", datetime(2024, 1, 1, 3, tzinfo=UTC)) == three_in_berlin
    assert compat.next_cron_time("0 3 * * *", None, datetime(2024, 1, 1, 4, tzinfo=UTC)).hour == 3


def test_mlflow_keeps_one_store_a_database_that_deletes_for_good(tmp_path):
    from mlflow.entities import ViewType

    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = compat._store(database)
    assert compat._store(database) is store
    experiment = store.create_experiment("e", artifact_location=str(tmp_path / "files"))
    run = store.create_run(experiment, "u", 0, [], "r")
    model = store.create_logged_model(experiment, name="m", source_run_id=run.info.run_id)
    store.delete_logged_model(model.model_id)
    store.delete_run(run.info.run_id)
    compat.delete_logged_model_rows(database, model.model_id)
    compat.delete_run_rows(database, run.info.run_id)
    assert store.search_runs([experiment], None, ViewType.ALL) == []
    assert store.search_logged_models([experiment]).to_list() == []


def test_runs_are_read_from_the_tables_as_the_public_api_tells_them(tmp_path):
    from mlflow import MlflowClient

    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(database)
    experiment, other = client.create_experiment("e"), client.create_experiment("other")
    for start in (3, 1, 2):
        run = client.create_run(experiment, start_time=start, run_name=f"r{start}", tags={"trial": str(start)})
        for loss in (5.0, 0.5 * start):
            client.log_metric(run.info.run_id, "loss", loss)
        client.log_param(run.info.run_id, "alpha", start)
    client.log_metric(run.info.run_id, "lost", float("nan"))
    client.set_terminated(run.info.run_id, end_time=9)
    client.delete_run(client.create_run(experiment, start_time=4).info.run_id)
    client.create_run(other, start_time=4)
    pages = list(compat.logged_runs(database, experiment, since=2, page=1, most=5))
    read = [run for page in pages for run in page]
    told = client.search_runs([experiment], "attributes.start_time >= 2", order_by=["attributes.start_time DESC"])
    assert [len(page) for page in pages] == [1, 1]
    assert [run[:5] for run in read] == [
        (run.info.run_id, run.info.run_name, run.info.status, run.info.start_time, run.info.end_time) for run in told
    ]
    assert [(run.tags, run.params) for run in read] == [(run.data.tags, run.data.params) for run in told]
    assert [run.metrics for run in read] == [{"loss": 1.5}, {"loss": 1.0, "lost": None}]
    assert [len(page) for page in compat.logged_runs(database, experiment, since=0, page=2, most=2)] == [2]


def test_mlflow_makes_its_tables_through_a_connection_that_is_open():
    with closing(sqlite3.connect(":memory:")) as connection:
        compat.make_mlflow_tables(connection)
        newest, known = compat.mlflow_revisions()
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest,)]
        assert newest in known and len(known) > 30
        compat.make_mlflow_tables(connection)  # once more changes nothing
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)


def test_mlflow_logs_a_model_without_a_second_look_only_where_it_is_told_to():
    from mlflow.models import utils
    from mlflow.utils import environment

    looks = utils._validate_serving_input, environment.warn_dependency_requirement_mismatches
    assert [parameters(look) for look in looks] == [["model_uri", "serving_input"], ["model_requirements"]]
    with compat.without_second_look():
        utils._validate_serving_input(model_uri="nowhere", serving_input="nothing")
        environment.warn_dependency_requirement_mismatches(["no such requirement"])
    assert looks == (utils._validate_serving_input, environment.warn_dependency_requirement_mismatches)
