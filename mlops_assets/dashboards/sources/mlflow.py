"""Sources of MLflow's runs: final models and searches with their metrics, and every trial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_assets.compat import LoggedRun, logged_runs
from mlops_assets.dashboards.sources.feeds import Derived, Feed, Snapshot, derived
from mlops_assets.dashboards.sources.source import Source, columns, records, table, typed

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run

    from mlops_assets.project import Project
    from mlops_assets.resources.mlflow.tracking import Tracking

MOST_RUNS = 200_000  # trials included
PAGE = 1_000
OVERLAP = timedelta(minutes=1)  # clocks of several machines
LONGEST_RUN = timedelta(days=3)
STATUS = {
    "FINISHED": "succeeded",
    "FAILED": "failed",
    "KILLED": "cancelled",
    "RUNNING": "running",
    "SCHEDULED": "queued",
}
_NOTHING = "No model was trained yet: `mlops-assets run` tunes and fits every model type."
RUNS = table(
    "mlflow_runs",
    "Runs in MLflow but trials, one row each.",
    _NOTHING,
    time="time: When it began.",
    id="text: Run id in MLflow.",
    name="text: Its name, such as `tune Ridge`.",
    asset="text: The asset that it is of.",
    model_type="text: Model type.",
    role="text: candidate or champion, of a registered model.",
    status="text: running, succeeded, failed or cancelled.",
    seconds="number: From start to end.",
    metrics="mapping: Metrics by name, as JSON.",
    link="text: Its page in MLflow.",
)
METRICS = table(
    "metrics",
    "Metrics of these runs, one row each.",
    _NOTHING,
    time="time: When its run began.",
    run="text: Name of the run.",
    asset="text: The asset that the run is of.",
    model_type="text: Model type.",
    role="text: candidate or champion, of a registered model.",
    name="text: Name of the metric, such as `validation_rmse`.",
    value="number: Its newest value.",
)
TRIALS = table(
    "trials",
    "Trials of the searches, one row each; the newest 200,000 with all runs.",
    _NOTHING,
    time="time: When it began.",
    id="text: Run id in MLflow.",
    search="text: Which search: model type and the day on which it began.",
    model_type="text: Model type.",
    trial="number: Its number in the search, from 1.",
    status="text: running, succeeded, failed or cancelled.",
    loss="number: The target's metric on validation.",
    best="number: The lowest loss of its search so far.",
    seconds="number: How long it took.",
    rounds="number: Boosting rounds, where the type has them.",
    error="text: Why it failed.",
    newest_search="flag: It is of the newest search of its model type.",
    parameters="mapping: Parameters by name, as JSON; their values are JSON again.",
    link="text: Its page in MLflow.",
)
_OF_TRIALS = columns(
    trial_of="text: Identity of the search; empty where it is no trial.",
    trial="number: Its number in the search, from 1.",
    loss="number: The target's metric on validation.",
    fit_seconds="number: How long it took.",
    rounds="number: Boosting rounds.",
    error="text: Why it failed.",
    parameters="mapping: Parameters by name, as JSON.",
)


def mlflow_sources(project: Project) -> list[Source]:
    """`mlflow_runs`, `metrics` and `trials`."""
    declared = RUNS.columns + _OF_TRIALS
    store = f"{project.tracking.uri} {project.tracking.experiment}"
    snapshot = Snapshot(project.home / "dashboards", "mlflow", store, declared)
    feed = Feed("mlflow", partial(_read, project), declared, most=MOST_RUNS, snapshot=snapshot)
    runs = Derived(lambda frame: frame[frame["trial_of"].isna()].reset_index(drop=True), feed.reading)
    return [
        RUNS.source(runs.reading, feed.forget),
        derived(METRICS, _metrics, runs.reading),
        TRIALS.source(Derived(_trials, feed.reading).reading),
    ]


def _read(project: Project, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
    """Runs newest first; then those that began since, or were still at work when they were read."""
    since = 0
    if len(known_rows):
        newest = known_rows["time"].max()
        at_work = known_rows[(known_rows["status"] == "running") & (known_rows["time"] > newest - LONGEST_RUN)]
        since = int(min([newest - OVERLAP, *at_work["time"]]).timestamp() * 1000)
    with project.tracking.errors("list runs"):
        for page in _pages(project.tracking, since):
            yield [_row(run, project) for run in page]


def _pages(tracking: Tracking, since: int) -> Iterator[list[LoggedRun]]:
    if not tracking.uri.startswith(("http:", "https:")):
        yield from logged_runs(tracking.uri, tracking.experiment_id, since, PAGE, MOST_RUNS)
        return
    token, left = None, MOST_RUNS
    while left > 0:
        page = tracking.client.search_runs(
            [tracking.experiment_id],
            f"attributes.start_time >= {since}",
            max_results=PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        yield [_logged(run) for run in page]
        if not (token := page.token):
            return
        left -= PAGE


def _row(run: LoggedRun, project: Project) -> dict:
    tags, metrics = run.tags, run.metrics
    row = {
        "time": datetime.fromtimestamp(run.start_time / 1000, UTC),
        "id": run.run_id,
        "name": run.name,
        "asset": tags.get("asset"),
        "model_type": tags.get("model_type"),
        "role": tags.get("role"),
        "status": STATUS[run.status],
        "seconds": (run.end_time - run.start_time) / 1000 if run.end_time else None,
        "link": project.tracking.run_url(run.run_id),
    }
    if "trial" not in tags:
        return row | {"metrics": json.dumps(metrics)}
    return row | {
        "trial_of": tags.get("search") or tags.get("mlflow.parentRunId", ""),
        "trial": float(tags["trial"]),
        "loss": metrics.get(project.target.metric.key("validation"), metrics.get("loss")),  # as it was called once
        "fit_seconds": metrics.get("seconds"),
        "rounds": metrics.get("rounds"),
        "error": tags.get("error"),
        "parameters": json.dumps(run.params),
    }


def _logged(run: Run) -> LoggedRun:
    info, data = run.info, run.data
    identity = (info.run_id, info.run_name, info.status, info.start_time, info.end_time)
    return LoggedRun(*identity, data.tags, data.params, data.metrics)


def parameters_of(trial: Any) -> dict[str, Any]:
    """The parameters of a row of `trials` as they were written: JSON where it is such, else text."""
    return {name: _value(text) for name, text in json.loads(trial.parameters).items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a run that somebody else logged
        return text


def _trials(frame: pd.DataFrame) -> pd.DataFrame:
    """Trials in the order of their searches, each with the best loss so far."""
    trials = frame[frame["trial_of"].notna()].assign(seconds=frame["fit_seconds"])
    trials = trials.sort_values(["trial_of", "trial"], kind="stable")
    searches = trials.groupby("trial_of")
    began = searches["time"].transform("min")
    trials["best"] = searches["loss"].cummin()
    trials["best"] = trials.groupby("trial_of")["best"].ffill()  # a trial that failed has none of its own
    trials["search"] = trials["model_type"] + began.dt.strftime(" %Y-%m-%d %H:%M")
    newest = began.groupby(trials["model_type"]).transform("max")
    trials["newest_search"] = began == newest
    return typed(trials.sort_values("time", kind="stable").reset_index(drop=True), TRIALS.columns)


def _metrics(runs: pd.DataFrame) -> Iterator[dict]:
    """One row for each metric of each run."""
    for run in records(runs):
        shared = {name: getattr(run, name) for name in ("time", "asset", "model_type", "role")} | {"run": run.name}
        for name, value in json.loads(run.metrics).items():
            yield shared | {"name": name, "value": value}
