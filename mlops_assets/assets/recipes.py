"""Recipes: all that an asset's content depends on, so that equal recipes need no second making.

A recipe is computed from the newest records of what is upstream; it reads no data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from mlops_assets.assets.partitions import next_month
from mlops_assets.assets.records import REIGNS, Record, all_latest, latest
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.prepare.splitting import Months, choose_months
from mlops_assets.dataset import SNAPSHOT, DatasetSpec
from mlops_assets.errors import DataError, SettingsError
from mlops_assets.project import Project

# Raise a version when the code behind an asset changes what it would give.
CODE_VERSIONS = {
    "raw_data": "1",
    "clean_data": "1",
    "training_set": "2",
    "hyperparameters": "1",
    "sklearn_model": "2",
    "xgboost_model": "2",
    "champion_model": "2",
    "predictions": "2",
    "model_performance": "1",
    "drift_report": "1",
}

CLUSTER_WIDTH = 4
_BUDGET = ("max_trials", "tuning_seconds")


@dataclass(frozen=True)
class Budget:
    """What a search may spend."""

    max_trials: int
    seconds: float


def raw_data(project: Project, source_version: str) -> Recipe:
    spec = project.spec
    # Real column names and places enter as a digest only.
    described = {"source": spec.source.model_dump(mode="json"), "columns": _columns(spec)}
    return _recipe("raw_data", settings={"source": _digest(described)}, data={"source version": source_version})


def clean_data(project: Project, raw: Record) -> Recipe:
    spec = project.spec
    rules = _public(spec, spec.model_dump(mode="json", include={"target", "rows", "time", "key"}))
    settings = rules | {"columns": {alias: column.type for alias, column in spec.columns.items()}}
    return _recipe("clean_data", settings=settings | {"inputs": spec.inputs()}, upstream={"raw_data": raw.content})


def chosen_months(instance: dg.DagsterInstance, project: Project) -> tuple[Months, dict[str, Record]]:
    """The window over the months that were cleaned, and their records; raises DataError where too few are there.

    Months of another source, or that were cleaned by other rules and could not be cleaned anew, do not count.
    """
    raw, cleaned = all_latest(instance, "raw_data"), all_latest(instance, "clean_data")
    counting = [
        month
        for month, record in cleaned.items()
        if month in raw
        and _same_settings(raw[month].recipe, raw_data(project, source_version=""))
        and _same_settings(record.recipe, clean_data(project, raw[month]))
    ]
    months = choose_months(counting, project.spec.window)
    return months, {month: cleaned[month] for month in months.all}


def training_set(project: Project, months: Months, cleaned: Mapping[str, Record]) -> Recipe:
    spec = project.spec
    settings = spec.model_dump(mode="json", include={"features", "window", "key"}) | {"seed": project.settings.seed}
    settings |= _thinning(project, sum(record.value("dagster/row_count") for record in cleaned.values()))
    return _recipe("training_set", settings=settings, data={month: cleaned[month].content for month in months.all})


def hyperparameters(
    project: Project, model_type: str, built: Record, previous: Record | None, budget: Budget | None = None
) -> Recipe:
    """The recipe of a search; a budget already spent on the same search is not asked for again."""
    settings = project.settings
    budget = budget or Budget(settings.max_trials, settings.tuning_seconds)
    if model_type not in project.model_types:
        raise SettingsError(f"'{model_type}' is none of MLOPS_MODEL_TYPES ({', '.join(project.model_types)})")
    kind = project.model_types[model_type]
    described = {
        "estimator": kind.import_path,
        "matrix": kind.matrix,
        "search space": kind.space.model_dump(mode="json", exclude_unset=True),
        "patience": settings.patience,
        "tuning_rows": settings.tuning_rows,
        "trial_width": trial_width(project),
        "seed": settings.seed,
    }

    def recipe(budget: Budget) -> Recipe:
        spent = {"max_trials": budget.max_trials, "tuning_seconds": budget.seconds}
        upstream = {"training_set": built.content}
        return _recipe("hyperparameters", settings=described | spent, upstream=upstream)

    if previous and search_identity(previous.recipe) == search_identity(recipe(budget)):
        before = previous.recipe.parts["settings"]
        budget = Budget(max(budget.max_trials, before["max_trials"]), max(budget.seconds, before["tuning_seconds"]))
    return recipe(budget)


def _thinning(project: Project, rows: int) -> dict[str, int]:
    """What decides on the rows that are in memory, where a window has more than these."""
    most = project.settings.memory_rows
    return {"memory_rows": most} if rows > most else {}


def search_identity(recipe: Recipe) -> str:
    """Digest of a search apart from its budget: a larger one goes on where the smaller ended."""
    parts = dict(recipe.parts)
    settings = {name: value for name, value in parts["settings"].items() if name not in _BUDGET}
    return Recipe(parts | {"settings": settings}).digest


def trial_width(project: Project) -> int:
    """Trials in flight: as set, or one for each process. It fixes a search, so no cluster's size may decide on it."""
    kind, _, processes = project.settings.trials.partition(":")
    return project.settings.trial_width or (CLUSTER_WIDTH if kind == "dask" else int(processes or 1))


def model(asset: str, project: Project, built: Record, tuned: Record) -> Recipe:
    # Models live in MLflow: another tracking server is another place where they are not yet.
    settings = {"seed": project.settings.seed, "tracking": _digest(project.settings.tracking_place)}
    settings |= {"coverage": project.settings.coverage} | _thinning(project, built.value("dagster/row_count"))
    if asset == "xgboost_model" and project.settings.final_fit != "local":
        settings["final_fit"] = "divided"  # wherever the cluster is
    upstream = {"training_set": built.content, "hyperparameters": tuned.content}
    return _recipe(asset, settings=settings, upstream=upstream)


def champion_model(project: Project, built: Record, candidates: Mapping[str, Record]) -> Recipe:
    settings = project.settings
    described = {
        "confidence": settings.confidence,
        "minimum_gain": settings.minimum_gain,
        "seed": settings.seed,
    } | _thinning(project, built.value("dagster/row_count"))
    data = {name: record.content for name, record in candidates.items()}
    return _recipe("champion_model", settings=described, data=data, upstream={"training_set": built.content})


def predictions(project: Project, raw: Record, champion: Record) -> Recipe:
    if not champion.value("champion_version"):
        raise DataError("there is no champion to predict with: no candidate has beaten the baselines")
    upstream = {"raw_data": raw.content, "champion": champion.value("champion_version")}
    return _recipe("predictions", upstream=upstream)


def model_performance(
    project: Project, month: str, cleaned: Record, champion: Record, previous: Record | None
) -> Recipe:
    """The recipe of a month's realised performance: its truth, the version that answered then, and the online rows.

    A later champion does not change who answered, and what the prediction log has forgotten was still asked.
    """
    if not champion.value("champion_version"):
        raise DataError("there is no champion whose predictions could be judged: no candidate has beaten the baselines")
    settings = {
        "confidence": project.settings.confidence,
        "margin": project.settings.performance_margin,
        "tracking": _digest(project.settings.tracking_place),
    }
    before = previous.recipe.parts if previous else {"settings": {}, "data": {}, "upstream": {}}
    stand_in = champion.value("champion_version")
    if before["settings"].get("tracking") == settings["tracking"]:
        stand_in = before["upstream"]["version"]
    log = project.prediction_log.extent(*event_limits(month))
    seen = before["data"].get("newest online row", ""), before["data"].get("online rows", 0)
    newest, rows = max((log.newest, log.rows), seen)
    return _recipe(
        "model_performance",
        settings=settings,
        data={"newest online row": newest, "online rows": rows},
        upstream={"clean_data": cleaned.content, "version": answered_then(champion, month) or stand_in},
    )


def answered_then(champion: Record, month: str) -> int | None:
    """The champion of the time before the truth of a month was known: the last that had learnt from none so new."""
    reigns = champion.value(REIGNS) or ()
    return next((reign["version"] for reign in reigns if reign["learnt_until"] < month), None)


def event_limits(month: str) -> tuple[datetime | None, datetime | None]:
    """The start of a month and of the next; none for a snapshot."""
    if month == SNAPSHOT:
        return None, None
    return tuple(datetime.fromisoformat(f"{start}-01") for start in (month, next_month(month)))


def candidates(instance: dg.DagsterInstance, project: Project, built: Record) -> dict[str, Record]:
    """The final model of each type that was fitted on this very training set; DataError where there is none."""
    found = {name: latest(instance, "sklearn_model", name) for name in project.sklearn_types}
    found |= {name: latest(instance, "xgboost_model") for name in project.xgboost_types}
    fitted = {
        name: record
        for name, record in found.items()
        if record and record.recipe.parts["upstream"]["training_set"] == built.content
    }
    if not fitted:
        raise DataError("no model is fitted on the present training set: materialise the models first")
    return fitted


def _same_settings(one: Recipe, other: Recipe) -> bool:
    return one.parts["settings"] == other.parts["settings"]


def _recipe(asset: str, **parts: Any) -> Recipe:
    return Recipe({"code": CODE_VERSIONS[asset]} | parts)


def _columns(spec: DatasetSpec) -> dict[str, Any]:
    return {alias: column.model_dump(mode="json") for alias, column in spec.columns.items()}


def _public(spec: DatasetSpec, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without what came from the environment; a digest tells when that has changed."""
    shown = _redacted(spec, settings)
    return shown if shown == settings else shown | {"values from the environment": _digest(settings)}


def _redacted(spec: DatasetSpec, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _redacted(spec, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redacted(spec, item) for item in value]
    return spec.redact(value) if isinstance(value, str) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
