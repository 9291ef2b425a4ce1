"""The model card of a champion: made when it is promoted, kept with its MLflow run, shown with every decision."""

from collections.abc import Mapping
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.addresses import MLFLOW_RUN
from mlops_assets.assets import clean_data, hyperparameters, models, raw_data, training_set
from mlops_assets.assets.explanations import explained, explanation_of, read_artefact, write_artefacts
from mlops_assets.assets.records import Records
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.assets.leaderboard import Contest
    from mlops_assets.core.explain.model_card import Judged, Origin
    from mlops_assets.core.prepare.splitting import Periods, SplitName
    from mlops_assets.core.training_set import Rows
    from mlops_assets.resources.mlflow.version import Version

_MADE_BY = (raw_data.ENTRY, clean_data.ENTRY, training_set.ENTRY, hyperparameters.ENTRY, *models.ENTRIES)
FOLDER, MARKDOWN, PAGE = "model_card", "model_card.md", "model_card.html"


def carded(
    records: Records,
    project: Project,
    champion: "Version | None",
    contest: "Contest",
    parts: "Mapping[SplitName, Rows]",
    periods: "Periods",
) -> dict:
    """Metadata on the champion: what it goes by, and its card. A card that is not there yet is made of this contest."""
    if champion is None:
        return {}
    card = read_artefact(project, champion.run_id, f"{FOLDER}/{MARKDOWN}")
    if card is None and champion.tags.get("candidate", str(champion.number)) != str(contest.challenger.version):
        return {}  # given the alias by hand, or promoted before there were cards: the contest was another
    metadata = explained(records, project, champion, periods.all[-1])
    if card is None:
        card = _make_card(records, project, champion, contest, parts, periods)
    return metadata | {"model_card": dg.MetadataValue.md(card), MLFLOW_RUN: project.tracking.run_path(champion.run_id)}


def _make_card(
    records: Records,
    project: Project,
    champion: "Version",
    contest: "Contest",
    parts: "Mapping[SplitName, Rows]",
    periods: "Periods",
) -> str:
    """The card as Markdown; it and the HTML page are logged."""
    from mlops_assets.core.explain.model_card import CardFacts, model_card

    model = project.registry.load(champion.number)
    cleaned = {period: records.newest("clean_data", period) for period in periods.all}
    facts = CardFacts(
        spec=project.spec,
        version=champion.number,
        model_type=champion.model_type,
        verdict=champion.tags["verdict"],
        periods=periods,
        rows_by_period={period: record.value("dagster/row_count") for period, record in cleaned.items()},
        inputs=model.signature,
        judged=_judged(project, contest, parts, periods),
        explanation=explanation_of(records, project, champion, periods.all[-1]),
        origin=_origin(project, champion),
        added=model.kind.added(model.finish),
    )
    redact = project.spec.redact
    card = redact(model_card(facts, pictures=False).markdown())
    page = redact(model_card(facts, pictures=True).html())
    write_artefacts(project, champion.run_id, FOLDER, {MARKDOWN: card.encode(), PAGE: page.encode()})
    project.registry.describe(champion.number, card.partition("\n")[2].strip())  # from the verdict on
    return card


def _judged(project: Project, contest: "Contest", parts: "Mapping[SplitName, Rows]", periods: "Periods") -> "Judged":
    from mlops_assets.assets.leaderboard import leaderboard
    from mlops_assets.core.explain.model_card import Judged
    from mlops_assets.core.monitor.performance import by_category, by_prediction, main_category, outcomes_of, realise

    rows = parts[contest.judged_on]
    model = project.registry.load(contest.challenger.version)
    outcomes = outcomes_of(project.target, rows.y, model.answer(rows.columns))
    segments, category = by_prediction(outcomes), main_category(project.spec)
    if category:
        segments += by_category(outcomes, rows.columns[category], category)
    return Judged(
        by_version=contest.challenger.version,
        split=contest.judged_on,
        periods=getattr(periods, contest.judged_on),
        overall=realise(outcomes),
        segments=segments,
        leaderboard=leaderboard(contest),
        coverage=model.coverage,
    )


def _origin(project: Project, champion: "Version") -> "Origin":
    from mlops_assets.core.explain.model_card import Origin
    from mlops_assets.resources.mlflow.models import requirements

    settings, tags = project.settings, champion.tags
    with project.tracking.errors("read the parameters of a run"):
        parameters = project.tracking.client.get_run(champion.run_id).data.params
    facts = {
        "registered model": f"models:/{project.registry.model_name}/{champion.number}",
        "MLflow run": champion.run_id,
        "training set": tags["training_set"],
        "recipe": tags["recipe"],
        "won as": f"version {tags.get('candidate', champion.number)}",
        "code versions": ", ".join(f"{entry.name} {entry.code_version}" for entry in _MADE_BY),
        "seed": str(settings.seed),
        "packages": ", ".join([f"python=={python_version()}", *requirements(project.registry.folder(champion.number))]),
    }
    names = {
        "MLOPS_DATASET": Path(settings.dataset).name,
        "MLOPS_SEED": settings.seed,
        "MLOPS_MODEL_TYPES": ",".join(project.listed_types),
    }
    settings_of_the_run = " ".join(f"{name}={value}" for name, value in names.items())
    return Origin(facts, parameters, f"{settings_of_the_run} mlops-assets run")
