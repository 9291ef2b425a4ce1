"""`champion_model`: replaced only by a challenger that is provably better, and then refitted on the whole window."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets import ensemble_model, models
from mlops_assets.assets.by_period import Result
from mlops_assets.assets.champion_checks import CHAMPION_CHECKS, judge_champion
from mlops_assets.assets.checks import asset_checks, check_results
from mlops_assets.assets.entry import OWNERS, RETRY, AssetEntry, State, freshness_policy
from mlops_assets.assets.final_fit import refit, refit_ensemble
from mlops_assets.assets.memo import Made, Making, begin, clear_failures
from mlops_assets.assets.model_card import carded
from mlops_assets.assets.models import example_rows
from mlops_assets.assets.recipes import learners, learnt_as, thinning
from mlops_assets.assets.records import REIGNS, Record, Records, reigns
from mlops_assets.assets.training_set import WindowRows, training_data, window_of
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.learners.ensemble import ENSEMBLE, weights_of
from mlops_assets.errors import DataError
from mlops_assets.facts import Hidden, Quantity, facts_of
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.registry import LEARNT_TAG, RECIPE_TAG

if TYPE_CHECKING:
    from mlops_assets.assets.leaderboard import Contest
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.prepare.splitting import Periods, SplitName
    from mlops_assets.core.training_set import Rows
    from mlops_assets.resources.mlflow.version import Version

NAME, CODE_VERSION = "champion_model", "4"
JUDGED_ROWS, LOOK = "judged_rows", "look"  # which rows the gate has asked, and how often so far
REFIT_MARGIN = 0.25  # a refit may be so much worse than its twin on rows that both have learnt from
REFIT_ROWS = 50_000  # compared for that, at most
# Tags of a champion's version: what the gate measured on rows that its candidate had not learnt from.
PROMISED, PROMISED_INTERVAL = "promised", "promised_interval"  # the first with the name of the metric


def recipe(project: Project, built: Record, fitted: Mapping[str, Record]) -> Recipe:
    """What the gate asks for, the candidates, and the libraries that refit the winner."""
    settings = project.settings
    gate = {"confidence": settings.confidence, "minimum_gain": settings.minimum_gain, "seed": settings.seed}
    gate |= project.spec.model_dump(mode="json", exclude_defaults=True, include={"expect"})
    gate |= project.spec.gate.model_dump(mode="json", exclude_defaults=True) | learnt_as(project.spec)
    return Recipe(
        {
            "code": CODE_VERSION,
            "settings": gate | thinning(project, built.value("dagster/row_count")),
            "data": {name: record.content for name, record in fitted.items()},
            "upstream": {"training_set": built.content},
            "libraries": learners(*project.model_types.values()),
        }
    )


def _recipe_now(state: State, partition: str | None) -> Recipe:
    built = state.records.newest("training_set")
    return recipe(state.project, built, candidates(state.records, state.project, built))


def candidates(records: Records, project: Project, built: Record) -> dict[str, Record]:
    """The final model of each type that was fitted on this very training set; DataError where there is none."""
    fitted = models.fitted_on(records, project, built)
    if project.has_ensemble:
        fitted |= models.of_training_set({ENSEMBLE: records.latest(ensemble_model.NAME)}, built)
    if not fitted:
        raise DataError("no model is fitted on the present training set: materialise the models first")
    return fitted


def answered_then(champion: Record, period: str) -> int | None:
    """The champion of the time before the truth of a period was known: the last that had learnt from none so new."""
    history = champion.value(REIGNS) or ()
    return next((reign["version"] for reign in history if reign["learnt_until"] < period), None)


def why_no_champion(record: Record) -> str:
    """In words, where the record of `champion_model` names none."""
    if number := record.value("proposed_version"):
        return f"version {number} waits for approval (mlops-assets approve {number} --why ...)"
    return "no candidate has passed the gate (the verdict of champion_model says why)"


def build(project: Project) -> dg.AssetsDefinition:
    @dg.asset(
        deps=[
            "training_set",
            *(entry.name for entry in (*models.ENTRIES, ensemble_model.ENTRY) if entry.is_wanted(project)),
        ],
        group_name="champion",
        owners=OWNERS,
        kinds={"python", "mlflow"},
        code_version=CODE_VERSION,
        retry_policy=RETRY,
        freshness_policy=freshness_policy(project.settings),
        check_specs=asset_checks(NAME, CHAMPION_CHECKS),
    )
    def champion_model(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> Iterator[Result]:
        """The gate's verdict on the best candidate, and the version that holds the alias `champion`."""
        with clear_failures(project):
            decided = _decide(context, project)
            yield from check_results(NAME, judge_champion(project, facts_of(decided.metadata or {})))
            yield decided

    return champion_model


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="promote",
    about="Let the best candidate challenge the champion.",
    build=build,
    recipe=_recipe_now,
    goes_on_without_parents=True,
    made_in_every_retraining=True,
)


def _decide(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
    from mlops_assets.assets.leaderboard import hold_contest
    from mlops_assets.core.training_set import TrainingSet, gather

    records = Records(context.instance)
    built = records.newest("training_set")
    fitted = candidates(records, project, built)
    making = begin(context, project, records, recipe(project, built, fitted))
    if making.unchanged:
        return making.again()
    window = window_of(records, project, built)
    periods = window.periods
    parts = gather(window, periods, window.share)
    encoder = TrainingSet.load(project.storage.local_folder(built.stored_path)).encoder
    judged_rows = _judged_rows(built, periods)
    look = _look(making.record, judged_rows)
    contest = hold_contest(project, parts, periods, encoder.vocabularies, fitted, look)
    for candidate in contest.candidates:
        run_id = project.registry.version(candidate.version).run_id
        project.tracking.add_metrics(run_id, {project.target.metric.key(contest.judged_on): candidate.loss})
    champion, decision, reason = contest.reigning, "refused", contest.verdict.reason
    proposed: Version | None = None
    if champion and _was_cut_off(making, champion):
        decision, reason = "promoted", champion.tags["verdict"]
    elif champion and contest.champion and contest.champion.version == contest.challenger.version:
        decision = "none"
        own = f"the best candidate, version {contest.challenger.version}, is the champion's own"
        reason = f"Nothing to decide: {own}.{periods.gap_note}"
    elif contest.verdict.promote:
        decision = "promoted"
        champion = project.registry.made_from(making.recipe.digest)  # by a run that was killed before it could say so
        if champion is None:
            champion, note = _go_live(context, project, making, contest, parts, window, fitted)
            reason = f"{reason}{note}"
        if project.settings.promotion == "propose":
            project.registry.propose(champion.number)
            proposed, champion, decision = champion, contest.reigning, "proposed"
            reason = f"Proposed{reason.removeprefix('Promoted')} Version {proposed.number} waits for a person."
        else:
            project.registry.promote(champion.number, reason=reason, at=datetime.now(UTC))
    context.log.info(reason)
    content = Recipe({"champion": champion.number if champion else 0})
    missing = [name for name in project.model_types if name not in fitted]
    metadata = _metadata(project, contest, champion, missing) | {"decision": decision, "verdict": reason}
    if proposed:
        metadata["proposed_version"] = proposed.number
    # A contest in which nothing was tried is no look.
    metadata |= {JUDGED_ROWS: Hidden(judged_rows), LOOK: Hidden(look - (decision == "none"))}
    metadata |= carded(records, project, champion, contest, parts, periods)
    return making.done(Made(content.digest, None, metadata))


def _was_cut_off(making: Making, champion: "Version") -> bool:
    """Whether this very decision made it the champion, by a run that was killed before it could record that."""
    known = making.record.value("champion_version") if making.record else None
    return champion.tags.get(RECIPE_TAG) == making.recipe.digest and champion.number != known


def _judged_rows(built: Record, periods: "Periods") -> str:
    """Which rows the gate asks: the same periods with the same rows give the same digest."""
    judged = periods.test or periods.validation
    return Recipe({"data": {period: built.recipe.parts["data"][period] for period in judged}}).digest


def _look(before: Record | None, judged_rows: str) -> int:
    """How often these rows have been asked, this time included."""
    return int(before.value(LOOK) or 0) + 1 if before and before.value(JUDGED_ROWS) == judged_rows else 1


def _go_live(
    context: dg.AssetExecutionContext,
    project: Project,
    making: Making,
    contest: "Contest",
    parts: "Mapping[SplitName, Rows]",
    window: WindowRows,
    fitted: Mapping[str, Record],
) -> "tuple[Version, str]":
    """The version to promote: a refit on the whole window, or the judged one where that is not as good; and a note."""
    challenger, verdict, metric = contest.challenger, contest.verdict, project.target.metric
    twin, began = project.registry.load(challenger.version), time.time()
    if newest := parts.get("test"):
        twin = twin.renewed(newest.columns, newest.y)
    if challenger.name == ENSEMBLE:
        model, params = refit_ensemble(project, window, parts, fitted, twin), weights_of(twin.estimator)
    else:
        model, final = refit(project, window, parts, challenger.name, fitted[challenger.name], twin)
        params = final.fitted.params
    promise = {
        "verdict": verdict.reason,
        "judged_on": contest.judged_on,
        metric.key(PROMISED): repr(challenger.loss),
        PROMISED_INTERVAL: json.dumps([challenger.interval.low, challenger.interval.high]),
    }
    if verdict.interval:
        promise["gain_interval"] = json.dumps([verdict.interval.low, verdict.interval.high])
    if note := _why_stays_out(project, parts, parts[contest.judged_on], model, twin):
        promise["verdict"] += note
        project.registry.tag(challenger.version, promise | {"role": "champion"})
        return project.registry.version(challenger.version), note
    return _register_refit(context, project, making, contest, window, model, params, promise, began), ""


def _why_stays_out(
    project: Project, parts: "Mapping[SplitName, Rows]", judged: "Rows", model: "Model", twin: "Model"
) -> str:
    """Why a refit is not as good as its judged twin, as a sentence with a blank before; empty where it is."""
    from mlops_assets.assets.leaderboard import unmet

    refit_loss, twin_loss = _loss_of_both(project, parts, model, twin)
    if refit_loss > twin_loss * (1 + REFIT_MARGIN):
        return (
            f" It goes live as it was judged: fitted on all rows, its {project.target.metric.label} on those that both "
            f"have learnt from is {refit_loss:.4g} where it was {twin_loss:.4g}."
        )
    if project.spec.expect and (broken := unmet(project.spec, model, judged)):
        return f" It goes live as it was judged: fitted on all rows, {'; '.join(broken)}."
    return ""


def _loss_of_both(
    project: Project, parts: "Mapping[SplitName, Rows]", model: "Model", twin: "Model"
) -> tuple[float, float]:
    """The metric of the refit and of its judged twin on rows that both have learnt from, evenly spread."""
    from mlops_assets.core.columns import evenly_spread

    rows = parts["train"].take(evenly_spread(len(parts["train"]), REFIT_ROWS))
    one, other = (project.target.metric(rows.y, asked.output(rows.columns)) for asked in (model, twin))
    return one, other


def _register_refit(
    context: dg.AssetExecutionContext,
    project: Project,
    making: Making,
    contest: "Contest",
    window: WindowRows,
    model: "Model",
    params: Mapping[str, Any],
    promise: Mapping[str, str],
    began: float,
) -> "Version":
    challenger, periods = contest.challenger, window.periods
    metric = project.target.metric
    metrics = {metric.key(contest.judged_on): challenger.loss, metric.key("validation"): challenger.validation_loss}
    tags = {
        "model_type": challenger.name,
        "role": "champion",
        "candidate": str(challenger.version),
        RECIPE_TAG: making.recipe.digest,
        "training_set": making.recipe.parts["upstream"]["training_set"],
        "periods": ",".join(periods.all),
        LEARNT_TAG: ",".join(periods.all),
        **promise,
    }
    judged = f"Fitted on the whole window; its scores are those of its candidate, version {challenger.version}."
    about = f"{promise['verdict']}\n\n{judged}"
    with (
        project.tracking.run(context, f"champion {challenger.name}", tags, since=began, about=about) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        model.save(Path(folder))
        run.learn_from(training_data(project, Records(context.instance).newest("training_set")))
        return project.registry.log(
            run,
            Path(folder),
            example=example_rows(context, project, periods.train[0]),
            prediction_name=project.target.unit or "prediction",
            params=params,
            metrics=metrics,
            tags=tags,
            about=about,
        )


def _metadata(project: Project, contest: "Contest", champion: "Version | None", missing: list[str]) -> dict[str, Any]:
    from mlops_assets.assets.leaderboard import as_markdown, leaderboard, slices_as_markdown, slices_as_rows
    from mlops_assets.core.report.plots import gain_histogram, leaderboard_bars, markdown_image

    target, verdict = project.target, contest.verdict
    metric = target.metric
    unit = metric.unit_of(target.unit)
    candidates, rows = contest.candidates, leaderboard(contest)
    table = as_markdown(rows, contest.judged_on, target, project.settings.confidence)
    bars = leaderboard_bars(
        [candidate.name for candidate in candidates],
        [candidate.loss for candidate in candidates],
        [candidate.interval for candidate in candidates],
        {entry.name: entry.loss for entry in contest.baselines},
        metric.heading(target.unit),
        title=f"{metric.label} by model",
    )
    rival = verdict.champion or min(verdict.baselines, key=lambda baseline: baseline.gain, default=None)
    metadata = {
        "champion_version": champion.number if champion else 0,
        "champion_type": champion.model_type if champion else "none",
        "defended_by": contest.champion_note,
        "judged_on": contest.judged_on,
        "challenger": contest.challenger.name,
        "metric": metric.label,
        "metric_name": Hidden(metric.name),
        metric.key("challenger"): Quantity(contest.challenger.loss, unit),
        REIGNS: Hidden(reigns(project.registry)),
        "not_fitted": ", ".join(missing) or Hidden("none"),
        "leaderboard": dg.MetadataValue.md(table),
        "leaderboard_rows": Hidden(rows),
        "leaderboard_plot": dg.MetadataValue.md(markdown_image(bars, "leaderboard")),
    }
    if verdict.champion:
        metadata |= {
            metric.key("champion"): Quantity(verdict.champion.loss, unit),
            "gain": verdict.champion.gain,
            "gain_low": Quantity(verdict.champion.interval.low, unit),
            "gain_high": Quantity(verdict.champion.interval.high, unit),
        }
    if verdict.slices:
        parts = slices_as_rows(verdict.slices)
        metadata["slices"] = dg.MetadataValue.md(slices_as_markdown(parts, target))
        metadata["slice_rows"] = Hidden(parts)
    if rival:
        metadata["judged_by"] = str(rival.difference.clusters)
        metadata["smallest_visible_gain"] = rival.smallest_visible_gain
        plot = gain_histogram(rival.distribution, rival.rival, metric.label)
        metadata["gain_plot"] = dg.MetadataValue.md(markdown_image(plot, "what the gain could be"))
    if champion:
        metadata["registered_model"] = champion.page
    return metadata
