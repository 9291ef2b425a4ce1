"""The champion: replaced only by a challenger that is provably better, and then refitted on the whole window."""

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.final_fit import refit
from mlops_assets.assets.memo import OWNERS, RETRY, Made, Making, begin, clear_failures
from mlops_assets.assets.model_card import carded
from mlops_assets.assets.models import example_rows
from mlops_assets.assets.records import REIGNS, Record, newest, reigns
from mlops_assets.assets.row_batches import WindowRows
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.registry import RECIPE_TAG

if TYPE_CHECKING:
    from mlops_assets.assets.leaderboard import Contest
    from mlops_assets.core.prepare.splitting import SplitName
    from mlops_assets.core.training_set import Rows
    from mlops_assets.resources.mlflow.registry import Version

# Tags of a champion's version: what the gate measured on rows that its candidate had not learnt from.
PROMISED_RMSE, PROMISED_INTERVAL = "promised_rmse", "promised_interval"


def champion_asset(models: list[str], freshness: dg.FreshnessPolicy) -> dg.AssetsDefinition:
    """`champion_model`, downstream of every final model."""

    @dg.asset(
        deps=["training_set", *models],
        group_name="champion",
        owners=OWNERS,
        kinds={"python", "mlflow"},
        code_version=recipes.CODE_VERSIONS["champion_model"],
        retry_policy=RETRY,
        freshness_policy=freshness,
    )
    def champion_model(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]):
        """The gate's verdict on the best candidate, and the version that holds the alias `champion`."""
        with clear_failures(project):
            return _decide(context, project)

    return champion_model


def _decide(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
    from mlops_assets.assets.leaderboard import hold_contest
    from mlops_assets.core.training_set import TrainingSet, gather

    built = newest(context.instance, "training_set")
    fitted = recipes.candidates(context.instance, project, built)
    making = begin(context, project, recipes.champion_model(project, built, fitted))
    if making.unchanged:
        return making.again()
    months, cleaned = recipes.chosen_months(context.instance, project)
    if recipes.training_set(project, months, cleaned) != built.recipe:
        raise DataError("clean data or settings have changed since training_set: materialise training_set first")
    window = WindowRows.of(project, months, cleaned)
    parts = gather(window, months, window.share)
    training_set = TrainingSet.load(project.storage.local_folder(built.path))
    contest = hold_contest(project, parts, months, training_set.encoder.vocabularies, fitted)
    champion, decision, reason = contest.reigning, "refused", contest.verdict.reason
    if champion and _was_cut_off(making, champion):
        decision, reason = "promoted", champion.tags["verdict"]
    elif champion and contest.champion and contest.champion.version == contest.challenger.version:
        decision = "none"
        reason = f"Nothing to decide: the best candidate, version {contest.challenger.version}, is the champion's own."
    elif contest.verdict.promote:
        decision = "promoted"
        refitted = project.registry.made_from(making.recipe.digest)
        champion = refitted or _refit(context, project, making, contest, parts, window, fitted[contest.challenger.name])
        project.registry.promote(champion.number, reason=reason, at=datetime.now(UTC))
    context.log.info(reason)
    content = Recipe({"champion": champion.number if champion else 0})
    missing = [name for name in project.model_types if name not in fitted]
    shown = _shown(project, contest, champion, missing) | {"decision": decision, "verdict": reason}
    shown |= carded(context.instance, project, champion, contest, parts, months)
    return making.done(Made(content.digest, None, shown))


def _was_cut_off(making: Making, champion: "Version") -> bool:
    """Whether this very decision made it the champion, by a run that was killed before it could record that."""
    known = making.record.value("champion_version") if making.record else None
    return champion.tags.get(RECIPE_TAG) == making.recipe.digest and champion.number != known


def _refit(
    context: dg.AssetExecutionContext,
    project: Project,
    making: Making,
    contest: "Contest",
    parts: "Mapping[SplitName, Rows]",
    window: WindowRows,
    record: Record,
) -> "Version":
    """Fit the challenger once more, on the whole window, and register it."""
    challenger, verdict, months = contest.challenger, contest.verdict, window.months
    model, params = refit(project, window, parts, record)
    metrics = {f"{contest.judged_on}_rmse": challenger.rmse, "validation_rmse": challenger.validation_rmse}
    tags = {
        "model_type": challenger.name,
        "role": "champion",
        "candidate": str(challenger.version),
        RECIPE_TAG: making.recipe.digest,
        "training_set": making.recipe.parts["upstream"]["training_set"],
        "months": ",".join(months.all),
        "verdict": verdict.reason,
        "judged_on": contest.judged_on,
        PROMISED_RMSE: repr(challenger.rmse),
        PROMISED_INTERVAL: json.dumps([challenger.interval.low, challenger.interval.high]),
    }
    if verdict.interval:
        tags["gain_interval"] = json.dumps([verdict.interval.low, verdict.interval.high])
    with project.tracking.run(context, f"champion {challenger.name}", tags) as run:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            return project.registry.log(
                run,
                Path(folder),
                example=example_rows(context, project, months.train[0]),
                prediction_name=project.spec.target.unit or "prediction",
                params=params,
                metrics=metrics,
                tags=tags,
            )


def _shown(project: Project, contest: "Contest", champion: "Version | None", missing: list[str]) -> dict:
    from mlops_assets.assets.leaderboard import as_markdown, leaderboard
    from mlops_assets.core.report.plots import bootstrap_histogram, leaderboard_bars, markdown_image

    unit, verdict = project.spec.target.unit, contest.verdict
    entries, rows = contest.candidates, leaderboard(contest)
    table = as_markdown(rows, contest.judged_on, unit, project.settings.confidence)
    bars = leaderboard_bars(
        [entry.name for entry in entries],
        [entry.rmse for entry in entries],
        [entry.interval for entry in entries],
        {entry.name: entry.rmse for entry in contest.baselines},
        unit,
    )
    rival = verdict.champion or min(verdict.baselines, key=lambda baseline: baseline.gain, default=None)
    shown = {
        "champion_version": champion.number if champion else 0,
        "champion_type": champion.model_type if champion else "none",
        "defended_by": contest.champion_note,
        "judged_on": contest.judged_on,
        "challenger": contest.challenger.name,
        "challenger_rmse": contest.challenger.rmse,
        REIGNS: dg.MetadataValue.json(reigns(project.registry)),
        "not_fitted": ", ".join(missing) or "none",
        "leaderboard": dg.MetadataValue.md(table),
        "leaderboard_rows": dg.MetadataValue.json(rows),
        "leaderboard_plot": dg.MetadataValue.md(markdown_image(bars, "leaderboard")),
    }
    if verdict.champion:
        low, high = verdict.interval.low, verdict.interval.high
        shown |= {
            "champion_rmse": verdict.champion_rmse,
            "gain": verdict.gain,
            "gain_low": low,
            "gain_high": high,
        }
    if rival:
        plot = bootstrap_histogram(rival.differences, rival.rival)
        shown["gain_plot"] = dg.MetadataValue.md(markdown_image(plot, "bootstrap of the gain"))
    if champion:
        shown["registered_model"] = dg.MetadataValue.url(champion.url)
    return shown
