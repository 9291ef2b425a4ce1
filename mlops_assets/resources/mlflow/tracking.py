"""MLflow tracking: one run for each asset execution, linked with its Dagster run, and always ended."""

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.addresses import dagster_run_page, mlflow_page, mlflow_run_path, mlflow_version_path
from mlops_assets.database_urls import redact
from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow.connection import connect, import_mlflow, search_runs, tracking_errors, write_batch

if TYPE_CHECKING:
    from dagster_mlflow.resources import MlFlow
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

    from mlops_assets.resources.mlflow.trial_logger import TrialLogger

DAGSTER_RUN_TAG = "dagster_run_id"
_DIGEST = 12  # characters of a digest that MLflow shows; it keeps 36 at most
NOTE = "mlflow.note.content"  # tag: the description of a run or an experiment, as Markdown


@dataclass(frozen=True)
class TrainingData:
    """Rows that models learn from: whose they are, the digest of their content, their periods and how many."""

    name: str
    asset: str
    digest: str
    periods: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class TrackedRun:
    """An MLflow run that is open; `mlflow` is dagster-mlflow's resource, for what is not offered here."""

    run_id: str
    experiment_id: str
    client: "MlflowClient" = field(repr=False)
    mlflow: "MlFlow" = field(repr=False)
    tracking: "Tracking" = field(repr=False)
    dagster_run_id: str

    def log(self, *, params: Mapping[str, Any], metrics: Mapping[str, float | None]) -> None:
        """Log to this run, parameters as JSON; raises TrackingError."""
        with self.tracking.errors("log to a run"):
            write_batch(self.client, self.run_id, params=params, metrics=metrics, tags={}, at=time.time())

    def learn_from(self, training_set: TrainingData) -> None:
        """Name the rows that the run learns from, in MLflow's column *Dataset*; raises TrackingError."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = json.dumps({"num_rows": training_set.rows})
        source = json.dumps({"asset": training_set.asset, "periods": training_set.periods})
        digest = training_set.digest[:_DIGEST]
        dataset = Dataset(training_set.name, digest, source_type="dagster", source=source, profile=profile)
        used = DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
        with self.tracking.errors("log the training set of a run"):
            self.client.log_inputs(self.run_id, [used])

    def start_trials(self, search: str, model_type: str) -> "TrialLogger":
        """A logger of trials as children of this run; `search` is what identifies the search."""
        from mlops_assets.resources.mlflow.trial_logger import PARENT_TAG, TrialLogger

        return TrialLogger(
            self.client,
            self.tracking.uri,
            experiment_id=self.experiment_id,
            search=search,
            model_type=model_type,
            tags={PARENT_TAG: self.run_id, DAGSTER_RUN_TAG: self.dagster_run_id},
        )


class Tracking:
    """The MLflow experiment of a dataset. Nothing is imported or contacted before the first use.

    `uri` may hold a password; no message does. `artifact_root` is for when `uri` is a database; `artifact_url`
    says where artefacts go then, if not there. `about`: what a new experiment and its model say of themselves.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifact_root: Path,
        ui_url: str,
        dagster_url: str,
        artifact_url: str | None = None,
        about: str = "",
    ) -> None:
        self.uri = uri
        self.experiment = experiment
        self.artifact_root = artifact_root
        self.artifact_url = artifact_url or artifact_root.absolute().as_uri()
        self.about = about
        self.ui_url, self._dagster_ui = ui_url, dagster_url

    @cached_property
    def client(self) -> "MlflowClient":
        return connect(self.uri)

    @cached_property
    def experiment_id(self) -> str:
        """The id of the experiment, which is created if need be; TrackingError where it is deleted."""
        client = self.client
        with self.errors(f"open the experiment '{self.experiment}'"):
            experiment = client.get_experiment_by_name(self.experiment) or self._create_experiment()
            if self._has_moved(experiment.artifact_location):
                experiment = client.get_experiment(experiment.experiment_id)
        if experiment.lifecycle_stage == "deleted":
            raise TrackingError(
                f"the MLflow experiment '{self.experiment}' is deleted: restore it with "
                f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
            )
        return experiment.experiment_id

    def check(self) -> str:
        """One line for people on where runs are tracked; raises TrackingError where they cannot be."""
        with self.errors("be asked"):
            self.client.get_experiment(self.experiment_id)
        return f"{redact(self.uri, self.uri)}, experiment '{self.experiment}' (id {self.experiment_id})"

    @contextmanager
    def run(
        self,
        context: dg.AssetExecutionContext,
        name: str,
        tags: Mapping[str, str],
        since: float | None = None,
        about: str = "",
    ) -> Iterator[TrackedRun]:
        """A new MLflow run, active inside, and FINISHED, FAILED or, if interrupted, KILLED afterwards.

        `since`: when what it tells of began, in seconds since 1970; now without it. `about`: its description.

        Each execution of an asset has one of its own. dagster-mlflow by itself would look for a run with this
        Dagster run's id and share it between assets, and between runs in one process.
        An error of MLflow's inside becomes a TrackingError.
        """
        end_active_runs("KILLED")
        self.close_abandoned(lambda run_id: is_active(context.instance, run_id))
        tags = self._links(context, about) | dict(tags) | {"mlflow.runName": name}
        with self.errors("start a run"):
            began = int((since or time.time()) * 1000)
            run_id = self.client.create_run(self.experiment_id, start_time=began, tags=tags, run_name=name).info.run_id
        context.log.info(f"MLflow run: {run_id}")
        try:
            with self._fluent(context, run_id, tags) as mlflow:
                yield TrackedRun(
                    run_id=run_id,
                    experiment_id=self.experiment_id,
                    client=self.client,
                    mlflow=mlflow,
                    tracking=self,
                    dagster_run_id=context.run.run_id,
                )
        except BaseException as error:
            self._end(run_id, "FAILED" if isinstance(error, Exception) else "KILLED", because_of=error)
            raise
        self._end(run_id, "FINISHED")

    def close_abandoned(self, is_active: Callable[[str], bool]) -> int:
        """Mark as KILLED all runs and trials that are RUNNING though their Dagster run is not; how many."""
        active: dict[str, bool] = {}
        abandoned = []
        with self.errors("close abandoned runs"):
            for run in search_runs(self.client, self.experiment_id, "attributes.status = 'RUNNING'"):
                owner = run.data.tags.get(DAGSTER_RUN_TAG)
                if owner and owner not in active:
                    active[owner] = is_active(owner)
                if owner and not active[owner]:
                    abandoned.append(run.info.run_id)
            for run_id in abandoned:
                self.client.set_terminated(run_id, "KILLED")
        return len(abandoned)

    def add_metrics(self, run_id: str, metrics: Mapping[str, float | None]) -> None:
        """Log what became known of a run after its end."""
        with self.errors("log metrics of a run"):
            write_batch(self.client, run_id, params={}, metrics=metrics, tags={}, at=time.time())

    def metrics(self, run_id: str) -> dict[str, float]:
        """The newest value of each metric of a run."""
        with self.errors("read a run's metrics"):
            return self.client.get_run(run_id).data.metrics

    def run_path(self, run_id: str) -> str:
        """The page of a run in MLflow, as it is kept."""
        return mlflow_run_path(self.experiment_id, run_id)

    def run_url(self, run_id: str) -> str:
        return mlflow_page(self.ui_url, self.run_path(run_id))

    def model_version_url(self, model_name: str, version: int) -> str:
        return mlflow_page(self.ui_url, mlflow_version_path(model_name, version))

    def dagster_url(self, run_id: str) -> str:
        """The page of a run in Dagster."""
        return dagster_run_page(self._dagster_ui, run_id)

    def errors(self, doing: str) -> AbstractContextManager[None]:
        """Turns what MLflow, its database and its server raise into a TrackingError."""
        return tracking_errors(self.uri, doing)

    def _has_moved(self, location: str) -> bool:
        """Whether the folder of artefacts, with the database beside it, was moved or copied; MLflow knows it then."""
        from mlops_assets.resources.mlflow.relocation import folder_before, relocate

        folder = self.artifact_root.absolute()
        if self.uri != f"sqlite:///{folder.parent / 'mlflow.db'}":
            return False
        before = folder_before(location, folder)
        if before is None:
            return False
        relocate(self.uri, before, folder)
        return True

    def _create_experiment(self) -> "Experiment":
        from mlflow.exceptions import MlflowException

        # A server keeps artefacts where it is told to; a database has no opinion.
        is_server = self.uri.startswith(("http:", "https:"))
        location = None if is_server else self.artifact_url
        try:
            self.client.create_experiment(self.experiment, artifact_location=location, tags={NOTE: self.about})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # by another process, a moment ago
                raise
        experiment = self.client.get_experiment_by_name(self.experiment)
        if experiment is None:
            raise TrackingError(f"the MLflow experiment '{self.experiment}' was removed while it was made: try again")
        return experiment

    def _links(self, context: dg.AssetExecutionContext, about: str) -> dict[str, str]:
        asset, run_id = context.asset_key.to_user_string(), context.run.run_id
        tags = {DAGSTER_RUN_TAG: run_id, "asset": asset}
        if context.has_partition_key:
            tags["partition"] = context.partition_key
        return tags | {NOTE: f"{about}\n\nAsset `{asset}`, Dagster run `{run_id}`".strip()}

    @contextmanager
    def _fluent(self, context: dg.AssetExecutionContext, run_id: str, tags: Mapping[str, str]) -> Iterator["MlFlow"]:
        """dagster-mlflow's resource on this very run, which makes it the active one of MLflow's functions."""
        from mlflow.exceptions import MlflowException

        config = {
            "experiment_name": self.experiment,
            "mlflow_tracking_uri": self.uri,
            "mlflow_run_id": run_id,
            "extra_tags": dict(tags),
        }
        kinds = (MlflowException, dg.DagsterResourceFunctionError)
        with tracking_errors(self.uri, "serve the asset", kinds), ExitStack() as stack:
            with warnings.catch_warnings():
                # It is in beta, and reads attributes that Dagster has deprecated.
                warnings.simplefilter("ignore", (dg.BetaWarning, DeprecationWarning))
                from dagster_mlflow import mlflow_tracking

                resources = stack.enter_context(
                    dg.build_resources(
                        {"mlflow": mlflow_tracking},
                        instance=context.instance,
                        resource_config={"mlflow": {"config": config}},
                        dagster_run=context.run,
                        log_manager=context.log,
                    )
                )
            yield resources.mlflow

    def _end(self, run_id: str, status: str, because_of: BaseException | None = None) -> None:
        try:
            with self.errors("end a run"):
                end_active_runs(status)
                self.client.set_terminated(run_id, status)
        except TrackingError as failure:
            if because_of is None:
                raise
            because_of.add_note(str(failure))


def is_active(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a Dagster run goes on; one that this instance does not know may well do so elsewhere."""
    run = instance.get_run_by_id(run_id)
    return run is None or not run.is_finished


def end_active_runs(status: str) -> None:
    """End the runs that MLflow's functions hold active in this thread; none is active afterwards, ever."""
    mlflow = import_mlflow()
    if mlflow.active_run():
        try:
            mlflow.end_run(status)
        finally:
            end_active_runs(status)
