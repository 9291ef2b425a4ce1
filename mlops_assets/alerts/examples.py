"""Examples of every kind of letter, told by the same code as real ones: for previews."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mlops_assets.alerts.alert import Alert
from mlops_assets.alerts.asset_alerts import stale_alert
from mlops_assets.alerts.outbox import Letter
from mlops_assets.alerts.run_alerts import Report
from mlops_assets.alerts.run_summary import CHAMPION, DRIFT, PERFORMANCE, Materialised, RunSummary
from mlops_assets.alerts.tick_alerts import tick_alert
from mlops_assets.automation.retraining import RETRAIN
from mlops_assets.project import Project
from mlops_assets.resources.ticks import FailedTick
from mlops_assets.run_tags import STARTED_BY

AT = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
PERIOD = "2026-02"
_BOARD = [("candidate", "XGBoost", 9.84), ("candidate", "RandomForestRegressor", 10.02), ("champion", "Ridge", 10.31)]
_BOARD += [("candidate", "Ridge", 10.33), ("baseline", "mean", 24.7)]


def example_letters(project: Project) -> dict[str, Letter]:
    """A letter of each kind by name, as the project would write it of made-up numbers, and a digest of all."""
    alerts = {
        "failure": _failed(project),
        "check": _of_check(project, "clean_data", "row_count", "12 rows, 90 % fewer than before", {}),
        "promoted": _decided(project, "promoted"),
        "refused": _decided(project, "refused"),
        "proposed": _decided(project, "proposed"),
        "drift": _of_check(project, DRIFT, "no_drift", "see what moved below", _drift(project)),
        "performance": _of_check(project, PERFORMANCE, "performance_as_promised", "RMSE 14.1, promised 9.84", _LATE),
        "freshness": stale_alert(project, CHAMPION, "is stale", AT, datetime(2026, 1, 20, tzinfo=UTC)),
        "success": _success(project),
        "tick": tick_alert(project, FailedTick("new_data", "sensor", "mlops", AT, _NO_PERIOD)),
    }
    letters = {name: Letter(name, "you@example.com", (alert,), attempts=0) for name, alert in alerts.items()}
    return letters | {"digest": Letter("digest", "you@example.com", tuple(alerts.values()), attempts=0, expired=(1, 2))}


_NO_PERIOD = "the source denies access to every period: check its address (source.uri or MLOPS_SOURCE_URI)"
_LATE = {"promised_rmse": 9.84, "realised_rmse": 14.1, "promised_coverage": 0.9, "realised_coverage": 0.78}


def _drift(project: Project) -> dict[str, Any]:
    names, strengths = list(project.spec.inputs())[:4], (3.1, 1.4, 0.6, 0.2)
    rows = [
        {
            "variable": name,
            "verdict": "drifted" if strength > 1 else "as before",
            "value": strength,
            "limit": 1.0,
            "told": f"median 30 → {30 * strength:.0f}",
        }
        for name, strength in zip(names, strengths, strict=False)
    ]
    return {"drift_rows": rows}


def _failed(project: Project) -> Alert:
    cause = "the file of source.uri is missing: check its address (source.uri or MLOPS_SOURCE_URI) and credentials"
    return _told(project, RETRAIN, [_run("raw_data", PERIOD, cause=cause)])


def _of_check(project: Project, asset: str, check: str, description: str, metadata: dict[str, Any]) -> Alert:
    failed = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset),
        check_name=check,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={},
        partition=PERIOD,
    )
    return _told(project, asset, [_run(asset, PERIOD, metadata, checks=(failed,))])


def _decided(project: Project, decision: str) -> Alert:
    won = decision == "promoted"
    metadata = {
        "decision": decision,
        "verdict": {
            "promoted": "Promoted: RMSE 9.84 is 4.56% below the 10.31 of the champion.",
            "proposed": "Proposed: RMSE 9.84 is 4.56% below the 10.31 of the champion. Version 5 waits for a person.",
            "refused": "Not promoted: RMSE 9.84 is 4.56% below the 10.31 of the champion, which may be chance.",
        }[decision],
        "recomputed": True,
        "champion_type": "XGBoost" if won else "Ridge",
        "champion_version": 5 if won else 3,
        "challenger": "XGBoost",
        "challenger_rmse": 9.84,
        "champion_rmse": 10.31,
        "gain": 0.0456,
        "gain_low": 0.31 if decision != "refused" else -0.02,
        "gain_high": 0.63,
        "judged_on": "test",
        "leaderboard_rows": [
            {"role": role, "model": model, "loss": loss, "low": loss - 0.2, "high": loss + 0.2}
            for role, model, loss in _BOARD
        ],
    } | ({"proposed_version": 5} if decision == "proposed" else {})
    before = {"champion_type": "Ridge", "champion_version": 3}
    return _told(project, RETRAIN, [_run(CHAMPION, None, metadata, before)])


def _success(project: Project) -> Alert:
    score = project.target.metric.key("validation")
    metadata = {score: 9.9, "model_type": "XGBoost", "reason": "data: 2026-02 is new"}
    return _told(project, "tune", [_run("hyperparameters", "XGBoost", metadata, {score: 10.1})])


def _run(
    asset: str,
    partition: str | None,
    metadata: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    *,
    checks: tuple[dg.AssetCheckEvaluation, ...] = (),
    cause: str = "",
    job: str = "",
) -> RunSummary:
    """A run of one asset that has ended, badly where there is a cause."""
    status = dg.DagsterRunStatus.FAILURE if cause else dg.DagsterRunStatus.SUCCESS
    name = f"{asset}[{partition}]" if partition else asset
    return RunSummary(
        run=dg.DagsterRun(job_name=job or asset, run_id="example", status=status, tags={STARTED_BY: "schedule"}),
        seconds=754,
        ended_at=AT.timestamp(),
        asset=asset,
        partition=partition,
        name=name,
        cause=cause,
        failed_checks=checks,
        materialised=() if cause else (Materialised(asset, partition, metadata or {}, before or {}),),
        planned=frozenset([name]),
    )


def _told(project: Project, job: str, parts: list[RunSummary]) -> Alert:
    """The alert of a run, or of a retraining with these parts."""
    is_retraining = job == RETRAIN
    whole = _run(RETRAIN, None, job=RETRAIN) if is_retraining else parts[0]
    return Report(project, whole, parts, is_retraining=is_retraining).alert()
