"""Sources of how good models are: leaderboards, decisions and promotions, realised errors, drift, backtests.

All but promotions, which the registry knows, come from the metadata of what was materialised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_assets.core.judge.backtest import renewed
from mlops_assets.dashboards.sources.feeds import Feed, derived
from mlops_assets.dashboards.sources.source import Reading, Source, columns, records, table

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.project import Project
    from mlops_assets.resources.mlflow.promotions import Promotion
    from mlops_assets.resources.mlflow.registry import Registry

MOST_PROMOTIONS = 10_000
_NOT_JUDGED = "The gate has not judged yet: `mlops-assets run` ends with its verdict."
LEADERBOARD = table(
    "leaderboard",
    "Models as the gate ranked them, one row each of each time.",
    _NOT_JUDGED,
    time="time: When the gate judged.",
    role="text: candidate, champion (the one before) or baseline.",
    model="text: Model type or baseline.",
    version="text: Version of the registered model.",
    trials="number: Trials of its search.",
    validation_loss="number: The target's metric on the validation periods.",
    loss="number: The same on the judged rows.",
    low="number: Low end of its confidence interval.",
    high="number: High end of its confidence interval.",
    fit_seconds="number: How long the fit took.",
    judged_on="text: test or validation.",
    latest="flag: Of the newest leaderboard.",
)
DECISIONS = table(
    "decisions",
    "Verdicts of the gate, one row each.",
    _NOT_JUDGED,
    time="time: When the gate judged.",
    decision="text: promoted, proposed, approved, refused, rolled back or none.",
    verdict="text: The reason in a sentence.",
    challenger="text: Model type of the best candidate.",
    metric="text: What the losses are, such as RMSE.",
    challenger_loss="number: Its loss on the judged rows.",
    champion="text: Model type of the champion afterwards.",
    version="text: Version of the champion afterwards.",
    champion_loss="number: Loss of the champion before, on the same rows.",
    gain="number: Share of the champion's loss that the challenger gains.",
    gain_low="number: Low end of the gain's interval.",
    gain_high="number: High end of the gain's interval.",
    latest="flag: The newest decision.",
    link="text: The run in Dagster.",
)
PERFORMANCE = table(
    "performance",
    "How good predictions were once the truth was known, one row a period.",
    "No period was measured yet: `model_performance` compares predictions with what came true.",
    ranged=False,
    time="time: When it was measured.",
    period="text: Period of the rows.",
    model_type="text: Model type of the version that answered.",
    version="text: Version that answered.",
    rows="number: Rows whose truth is known.",
    metric="text: What the losses are, such as RMSE.",
    loss="number: Realised loss.",
    mae="number: Realised mean absolute error.",
    bias="number: Mean of prediction minus truth.",
    coverage="number: Share of truths within their interval.",
    promised_loss="number: Loss that the gate had measured.",
    promised_low="number: Low end of its interval.",
    promised_high="number: High end of its interval.",
    online_loss="number: Realised loss of what was asked online.",
    online_coverage="number: Share of truths within their interval, of what was asked online.",
    learnt="flag: The version had learnt from these rows.",
    promised_coverage="number: Share that its intervals are made to hold.",
    kept="flag: The promise was kept.",
    promise="text: kept or broken; empty where the version had learnt from these rows, so that nobody can know.",
    latest="flag: The newest measurement of its period.",
)
DRIFT = table(
    "drift",
    "What is no longer like the periods that the champion learnt from, one row a period, variable and measure.",
    "No period was compared yet: `drift_report` compares it with those that the champion learnt from.",
    ranged=False,
    time="time: When it was measured.",
    period="text: Period of the rows.",
    variable="text: A feature, the prediction, the target, or what a rule drops.",
    role="text: feature, prediction, target or rows.",
    verdict="text: drifted, as each year or as before.",
    measure="text: Such as PSI, KS, V or missing.",
    value="number: The effect.",
    limit="number: From where on it counts.",
    strength="number: The effect in units of its limit: 1 and more counts.",
    last_year="number: The effect against the same period a year before.",
    told="text: What moved.",
    latest="flag: The newest report of its period.",
)
BACKTEST = table(
    "backtest",
    "Policies of retraining walked over the periods, one row a policy and period.",
    "There was no backtest yet: `mlops-assets backtest` walks policies of retraining over the periods.",
    ranged=False,
    time="time: When the backtest was made.",
    policy="text: Policy of retraining.",
    period="text: Period that was predicted.",
    periods_learnt="number: Periods that the model had learnt from.",
    retrained="flag: The model was fitted anew for this period.",
    fits="number: Fits for this period.",
    cpu_seconds="number: CPU seconds for this period.",
    loss="number: The target's metric in the period.",
    mae="number: Mean absolute error of the period.",
    rows="number: Rows of the period.",
    latest="flag: Of the newest backtest.",
)
PROMOTIONS = table(
    "promotions",
    "Who was champion when, one row each time.",
    "There is no champion yet: `mlops-assets run` ends with the gate's verdict.",
    time="time: When it became champion.",
    until="time: When it ceased to be; empty for the present one.",
    version="text: Version of the registered model.",
    model_type="text: Model type.",
    reason="text: Why it became champion.",
    days="number: How long it was champion, or has been so far.",
    current="flag: It is champion now.",
    link="text: Its page in MLflow.",
)
_LOSSES = ("validation_loss", "loss")
_ID = columns(id="text: Version and time.")
_PERFORMANCE_NAMES = {
    "rows": "dagster/row_count",
    "mae": "realised_mae",
    "bias": "realised_bias",
    "coverage": "realised_coverage",
    "version": "model_version",
    "learnt": "learnt_from_it",
}


def model_sources(project: Project, materialisations: Callable[[], Reading]) -> list[Source]:
    """`leaderboard`, `decisions`, `performance`, `drift`, `backtest` and `promotions`."""
    promotions = Feed(
        "promotions", partial(_read_promotions, project.registry), PROMOTIONS.columns + _ID, most=MOST_PROMOTIONS
    )
    return [
        PROMOTIONS.source(promotions.reading, promotions.forget),
        derived(LEADERBOARD, _leaderboard, materialisations),
        derived(DECISIONS, _decisions, materialisations),
        derived(PERFORMANCE, _performance, materialisations),
        derived(DRIFT, _drift, materialisations),
        derived(BACKTEST, _backtest, materialisations),
    ]


def _leaderboard(made: pd.DataFrame) -> Iterator[dict]:
    for report in _computed(made, "champion_model"):
        shared = {"time": report.time, "judged_on": report.details.get("judged_on"), "latest": report.latest_computed}
        for row in report.details.get("leaderboard_rows", ()):
            losses = {name: row.get(name, row.get(name.replace("loss", "rmse"))) for name in _LOSSES}
            yield row | shared | losses | {"version": _text(row["version"])}


def _losses(details: dict, *places: str) -> dict[str, Any]:
    """Losses by place, with the metric in words; release 0.1 knew RMSE alone."""
    key = str(details.get("metric_name", "rmse"))
    return {"metric": details.get("metric", "RMSE")} | {
        f"{place}_loss".removeprefix("realised_"): details.get(f"{place}_{key}") for place in places
    }


def _decisions(made: pd.DataFrame) -> Iterator[dict]:
    for report in _of(made, "champion_model"):
        details = report.details
        if report.computed or details.get("decision") in ("rolled back", "approved"):
            champion = {"champion": details.get("champion_type"), "version": _text(details.get("champion_version"))}
            identity = {"time": report.time, "link": report.link, "latest": report.latest_computed}
            yield details | champion | _losses(details, "challenger", "champion") | identity


def _performance(made: pd.DataFrame) -> Iterator[dict]:
    for report in _of(made, "model_performance"):
        numbers = report.details | {name: report.details.get(key) for name, key in _PERFORMANCE_NAMES.items()}
        if numbers["learnt"] is False:
            numbers["promise"] = "kept" if numbers.get("kept") else "broken"
        identity = {"time": report.time, "period": report.partition, "version": _text(numbers["version"])}
        losses = _losses(report.details, "realised", "promised", "online")
        yield numbers | losses | identity | {"latest": report.latest}


def _drift(made: pd.DataFrame) -> Iterator[dict]:
    for report in _of(made, "drift_report"):
        shared = {"time": report.time, "period": report.partition, "latest": report.latest}
        for row in report.details.get("drift_rows", ()):
            yield row | shared | {"strength": row["value"] / row["limit"]}


def _backtest(made: pd.DataFrame) -> Iterator[dict]:
    for report in _computed(made, "backtest_report"):
        for row in report.details.get("backtest_rows", ()):
            yield renewed(row) | {"time": report.time, "latest": report.latest_computed}


def _of(made: pd.DataFrame, asset: str) -> Iterator[Any]:
    """Materialisations of an asset, oldest first; `latest_computed` marks the last one that computed something."""
    reports = made[made["asset"] == asset]
    last = reports.index[reports["computed"]].max()  # NaN, which is no index, where none has
    return records(reports.assign(latest_computed=reports.index == last))


def _computed(made: pd.DataFrame, asset: str) -> Iterator[Any]:
    return (report for report in _of(made, asset) if report.computed)


def _text(version: int | None) -> str | None:
    return str(version) if version else None


def _read_promotions(registry: Registry, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
    yield [_promotion(promotion, registry) for promotion in registry.history()]


def _promotion(promotion: Promotion, registry: Registry) -> dict:
    days = ((promotion.until or datetime.now(UTC)) - promotion.since).total_seconds() / 86_400
    return {
        "id": f"{promotion.version}@{promotion.since.isoformat()}",
        "time": promotion.since,
        "until": promotion.until,
        "version": str(promotion.version),
        "model_type": promotion.model_type,
        "reason": promotion.reason,
        "days": round(days, 2),
        "current": promotion.until is None,
        "link": registry.tracking.model_version_url(registry.model_name, promotion.version),
    }
