"""Sources of what the gate and the monitoring found out: leaderboards, decisions, realised errors, drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.dashboards.sources.feeds import Derived, Feed
from mlops_assets.dashboards.sources.source import Column, Reading, Source, as_frame, columns

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.project import Project
    from mlops_assets.resources.mlflow.registry import Promotion


LEADERBOARD = columns(
    time="time: When the gate judged.",
    role="text: candidate, champion (the one before) or baseline.",
    model="text: Model type or baseline.",
    version="text: Version of the registered model.",
    trials="number: Trials of its search.",
    validation_rmse="number: RMSE on the validation months.",
    rmse="number: RMSE on the judged rows.",
    low="number: Low end of its confidence interval.",
    high="number: High end of its confidence interval.",
    fit_seconds="number: How long the fit took.",
    judged_on="text: test or validation.",
    latest="flag: Of the newest leaderboard.",
)
DECISIONS = columns(
    time="time: When the gate judged.",
    decision="text: promoted, refused, rolled back or none.",
    verdict="text: The reason in a sentence.",
    challenger="text: Model type of the best candidate.",
    challenger_rmse="number: Its RMSE on the judged rows.",
    champion="text: Model type of the champion afterwards.",
    version="text: Version of the champion afterwards.",
    champion_rmse="number: RMSE of the champion before, on the same rows.",
    gain="number: Share of the champion's RMSE that the challenger gains.",
    gain_low="number: Low end of the gain's interval.",
    gain_high="number: High end of the gain's interval.",
    latest="flag: The newest decision.",
    link="text: The run in Dagster.",
)
PERFORMANCE = columns(
    time="time: When it was measured.",
    month="text: Month of the rows.",
    model_type="text: Model type of the version that answered.",
    version="text: Version that answered.",
    rows="number: Rows whose truth is known.",
    rmse="number: Realised RMSE.",
    mae="number: Realised mean absolute error.",
    bias="number: Mean of prediction minus truth.",
    coverage="number: Share of truths within their interval.",
    promised_rmse="number: RMSE that the gate had measured.",
    promised_low="number: Low end of its interval.",
    promised_high="number: High end of its interval.",
    online_rmse="number: Realised RMSE of what was asked online.",
    online_coverage="number: Share of truths within their interval, of what was asked online.",
    learnt="flag: The version had learnt from these rows.",
    kept="flag: The promise was kept.",
    latest="flag: The newest measurement of its month.",
)
DRIFT = columns(
    time="time: When it was measured.",
    month="text: Month of the rows.",
    variable="text: A feature, the prediction, the target, or what a rule drops.",
    role="text: feature, prediction, target or rows.",
    verdict="text: drifted, as each year or as before.",
    measure="text: Such as PSI, KS, V or missing.",
    value="number: The effect.",
    limit="number: From where on it counts.",
    strength="number: The effect in units of its limit: 1 and more counts.",
    last_year="number: The effect against the same month a year before.",
    told="text: What moved.",
    latest="flag: The newest report of its month.",
)
BACKTEST = columns(
    time="time: When the backtest was made.",
    policy="text: Policy of retraining.",
    month="text: Month that was predicted.",
    months_learnt="number: Months that the model had learnt from.",
    retrained="flag: The model was fitted anew for this month.",
    fits="number: Fits for this month.",
    cpu_seconds="number: CPU seconds for this month.",
    rmse="number: RMSE of the month.",
    mae="number: Mean absolute error of the month.",
    rows="number: Rows of the month.",
    latest="flag: Of the newest backtest.",
)
_PERFORMANCE_NAMES = {
    "rows": "dagster/row_count",
    "rmse": "realised_rmse",
    "mae": "realised_mae",
    "bias": "realised_bias",
    "coverage": "realised_coverage",
    "version": "model_version",
    "learnt": "learnt_from_it",
}


def model_sources(materialisations: Callable[[], Reading]) -> list[Source]:
    """`leaderboard`, `decisions`, `performance`, `drift` and `backtest`, from the metadata of what was materialised."""

    def derived(rows: Callable[[pd.DataFrame], Iterator[dict]], declared: tuple[Column, ...]) -> Derived:
        return Derived(lambda frame: as_frame(list(rows(frame)), declared), materialisations)

    return [
        Source(
            "leaderboard",
            "Models as the gate ranked them, one row each of each time.",
            LEADERBOARD,
            derived(_leaderboard, LEADERBOARD).reading,
            "The gate has not judged yet: `mlops-assets run` ends with its verdict.",
        ),
        Source(
            "decisions",
            "Verdicts of the gate, one row each.",
            DECISIONS,
            derived(_decisions, DECISIONS).reading,
            "The gate has not judged yet: `mlops-assets run` ends with its verdict.",
        ),
        Source(
            "performance",
            "How good predictions were once the truth was known, one row a month.",
            PERFORMANCE,
            derived(_performance, PERFORMANCE).reading,
            "No month was measured yet: `model_performance` compares predictions with what came true.",
            time=None,
        ),
        Source(
            "drift",
            "What is no longer like the months that the champion learnt from, one row a month, variable and measure.",
            DRIFT,
            derived(_drift, DRIFT).reading,
            "No month was compared yet: `drift_report` compares it with those that the champion learnt from.",
            time=None,
        ),
        Source(
            "backtest",
            "Policies of retraining walked over the months, one row a policy and month.",
            BACKTEST,
            derived(_backtest, BACKTEST).reading,
            "There was no backtest yet: `mlops-assets backtest` walks policies of retraining over the months.",
            time=None,
        ),
    ]


def _leaderboard(frame: pd.DataFrame) -> Iterator[dict]:
    for made in _of(frame, "champion_model"):
        if made.computed:
            about = {"time": made.time, "judged_on": made.details.get("judged_on"), "latest": made.latest_computed}
            for row in made.details.get("leaderboard_rows", ()):
                yield row | about | {"version": _text(row["version"])}


def _decisions(frame: pd.DataFrame) -> Iterator[dict]:
    for made in _of(frame, "champion_model"):
        if made.computed or made.details.get("decision") == "rolled back":
            told = made.details
            about = {"champion": told.get("champion_type"), "version": _text(told.get("champion_version"))}
            yield told | about | {"time": made.time, "link": made.link, "latest": made.latest_computed}


def _performance(frame: pd.DataFrame) -> Iterator[dict]:
    for made in _of(frame, "model_performance"):
        told = made.details | {name: made.details.get(key) for name, key in _PERFORMANCE_NAMES.items()}
        about = {"time": made.time, "month": made.partition, "version": _text(told["version"])}
        yield told | about | {"latest": made.latest}


def _drift(frame: pd.DataFrame) -> Iterator[dict]:
    for made in _of(frame, "drift_report"):
        about = {"time": made.time, "month": made.partition, "latest": made.latest}
        for row in made.details.get("drift_rows", ()):
            yield row | about | {"strength": row["value"] / row["limit"]}


def _backtest(frame: pd.DataFrame) -> Iterator[dict]:
    for made in _of(frame, "backtest_report"):
        if made.computed:
            about = {"time": made.time, "latest": made.latest_computed}
            for row in made.details.get("backtest_rows", ()):
                yield row | about


def _of(frame: pd.DataFrame, asset: str) -> Iterator[Any]:
    """Materialisations of an asset, oldest first; `latest_computed` marks the last one that computed something."""
    own = frame[frame["asset"] == asset]
    computed = own["computed"]
    last = own[computed].index.max() if computed.any() else None
    yield from own.assign(latest_computed=own.index == last).itertuples(index=False)


def _text(version: int | None) -> str | None:
    return None if not version else str(version)


MOST_REIGNS = 10_000
COLUMNS = columns(
    time="time: When it became champion.",
    until="time: When it ceased to be; empty for the present one.",
    version="text: Version of the registered model.",
    model_type="text: Model type.",
    reason="text: Why it became champion.",
    days="number: How long it was champion, or has been so far.",
    current="flag: It is champion now.",
    link="text: Its page in MLflow.",
)
_ID = columns(id="text: Version and time.")


def promotions_source(project: Project) -> Source:
    """`promotions`: one row for each time that a version became champion."""
    feed = Feed("promotions", _Reigns(project).read, COLUMNS + _ID, most=MOST_REIGNS)
    return Source(
        name="promotions",
        description="Who was champion when, one row each time.",
        columns=COLUMNS,
        read=feed.reading,
        empty="There is no champion yet: `mlops-assets run` ends with the gate's verdict.",
        forget=feed.forget,
    )


class _Reigns:
    def __init__(self, project: Project) -> None:
        self._registry = project.registry

    def read(self, known: pd.DataFrame) -> Iterator[list[dict]]:
        yield [self._row(reign) for reign in self._registry.history()]

    def _row(self, reign: Promotion) -> dict:
        days = ((reign.until or datetime.now(UTC)) - reign.since).total_seconds() / 86_400
        return {
            "id": f"{reign.version}@{reign.since.isoformat()}",
            "time": reign.since,
            "until": reign.until,
            "version": str(reign.version),
            "model_type": reign.model_type,
            "reason": reign.reason,
            "days": round(days, 2),
            "current": reign.until is None,
            "link": self._registry.tracking.model_version_url(self._registry.model_name, reign.version),
        }
