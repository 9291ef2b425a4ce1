"""`backtest_report`: policies of retraining walked forward over all clean periods. No run makes it by itself."""

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from mlops_assets.assets.entry import OWNERS, pages
from mlops_assets.assets.memo import Made, begin, clear_failures
from mlops_assets.assets.recipes import learnt_as, same_settings
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.dataset import SNAPSHOT
from mlops_assets.errors import DataError
from mlops_assets.facts import Hidden, Quantity
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_assets.compat import AssetJob
    from mlops_assets.core.judge.backtest import Step
    from mlops_assets.core.judge.backtest_models import Period

NAME, CODE_VERSION, JOB = "backtest_report", "1", "backtest"
DASHBOARD = "backtest"


class BacktestConfig(dg.Config):
    """What is walked forward."""

    policies: list[str] = Field(
        [], description="Of never, window-1, window-3, window-6, window-12, drift, gate. Empty: all."
    )
    model_type: str = Field("", description="One of MLOPS_MODEL_TYPES. Empty: the champion's, or the last.")
    start: int = Field(3, ge=2, description="Periods that every policy begins with.")
    trials: int = Field(
        1, ge=1, description="Points of the search space tried on the first periods; 1 takes its start."
    )


def backtest_asset(project: Project) -> dg.AssetsDefinition:
    """`backtest_report`."""

    @dg.asset(
        name=NAME,
        deps=["clean_data"],
        group_name="monitoring",
        owners=OWNERS,
        kinds={"python"},
        code_version=CODE_VERSION,
        metadata=pages(project, DASHBOARD, in_mlflow=False),
    )
    def backtest_report(
        context: dg.AssetExecutionContext,
        config: BacktestConfig,
        project: dg.ResourceParam[Project],
        progress: dg.ResourceParam[Progress],
    ) -> dg.MaterializeResult:
        """How good and how dear each policy of retraining would have been, period by period."""
        with clear_failures(project):
            return _backtest(context, config, project, progress)

    return backtest_report


def backtest_job() -> "AssetJob":
    """The job that makes it, from the UI or by `mlops-assets backtest`."""
    about = "Walk policies of retraining over the clean periods."
    return dg.define_asset_job(JOB, selection=dg.AssetSelection.assets(NAME), description=about)


def _backtest(
    context: dg.AssetExecutionContext, config: BacktestConfig, project: Project, progress: Progress
) -> dg.MaterializeResult:
    from mlops_assets.core.judge.backtest import check_periods, choose_policies, walk
    from mlops_assets.core.judge.backtest_models import Journal, LabRules, ModelLab

    settings, records = project.settings, Records(context.instance)
    policies = choose_policies(config.policies)
    cleaned = _clean_periods(records)
    check_periods(list(cleaned), config.start)
    model_type = project.model_types[_model_type(records, project, config)]
    shared = _shared_recipe(project, config, model_type.name, cleaned)
    parts = {name: dict(shared.parts[name]) for name in ("settings", "data")}
    parts["settings"] |= {"policies": [policy.name for policy in policies], "margin": settings.performance_margin}
    making = begin(context, project, records, Recipe({"code": CODE_VERSION} | parts))
    if making.unchanged:
        return making.again()
    rules = LabRules(
        spec=project.spec,
        model_type=model_type,
        seed=settings.seed,
        threads=settings.thread_count,
        trials=config.trials,
        confidence=settings.confidence,
        minimum_gain=settings.minimum_gain,
    )
    journal = Journal(_journal(project, shared))
    periods = tuple(cleaned)
    lab = ModelLab(rules, lambda period: _read(project, cleaned[period]), periods[: config.start], journal)
    total = len(policies) * (len(periods) - config.start)
    steps: list[Step] = []
    for policy in policies:
        for step in walk(policy, periods, config.start, lab, settings.performance_margin):
            steps.append(step)
            line = f"{step.policy}, {step.period}: {project.target.metric.label} {step.score.loss:.4g}"
            progress.step(context, len(steps), total, line)
    return making.done(_made(project, steps, model_type.name, lab.recipe().params))


def _clean_periods(records: Records) -> dict[str, Record]:
    """Every period that was cleaned by the rules of the newest; raises DataError for a snapshot."""
    cleaned = records.all_latest("clean_data")
    if SNAPSHOT in cleaned:
        raise DataError("a snapshot has no periods to walk over: a backtest needs a dataset with a time")
    if not cleaned:
        return {}
    newest = cleaned[max(cleaned)].recipe
    return {period: record for period, record in cleaned.items() if same_settings(record.recipe, newest)}


def _model_type(records: Records, project: Project, config: BacktestConfig) -> str:
    champion = records.latest("champion_model")
    reigning = champion.value("champion_type") if champion else None
    name = config.model_type or (reigning if reigning in project.model_types else list(project.model_types)[-1])
    if name not in project.model_types:
        raise DataError(f"'{name}' is not among MLOPS_MODEL_TYPES ({', '.join(project.model_types)})")
    return name


def _shared_recipe(project: Project, config: BacktestConfig, model_type: str, cleaned: Mapping[str, Record]) -> Recipe:
    """What fits and judgements depend on, whichever policy asks for them."""
    settings, kind = project.settings, project.model_types[model_type]
    described = {
        "estimator": kind.import_path,
        "matrix": kind.matrix,
        "search space": kind.space.model_dump(mode="json", exclude_unset=True),
        "features": project.spec.features.model_dump(mode="json"),
        "start": config.start,
        "trials": config.trials,
        "confidence": settings.confidence,
        "minimum_gain": settings.minimum_gain,
        "seed": settings.seed,
    } | learnt_as(project.spec)
    if project.spec.weights:
        described["weights"] = project.spec.weights
    data = {period: record.content for period, record in cleaned.items()}
    return Recipe({"code": CODE_VERSION, "settings": described, "data": data})


def _journal(project: Project, shared: Recipe) -> "Path":
    """Where this backtest writes down what it finds; those of other periods or settings are removed."""
    folder = project.home / "backtests" / shared.digest[:12]
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    return folder / "journal.jsonl"


def _read(project: Project, record: Record) -> "Period":
    from mlops_assets.core.columns import from_table
    from mlops_assets.core.judge.backtest_models import Period
    from mlops_assets.core.judge.clusters import clusterings
    from mlops_assets.core.monitor.drift import Dropped
    from mlops_assets.core.prepare.cleaning import TARGET, kept_columns

    spec = project.spec
    names = [*kept_columns(spec), TARGET]
    columns = from_table(project.storage.read_table(record.stored_path, names), names)
    y = columns.pop(TARGET)
    together = clusterings(spec, columns, columns[spec.time.column] if spec.time else None)
    dropped = Dropped(len(y) + record.value("rows_dropped"), record.value("dropped_by_rule"))
    weights = columns[spec.weights] if spec.weights else None
    return Period({alias: columns[alias] for alias in spec.inputs()}, y, together, dropped, weights)


def _made(project: Project, steps: "Sequence[Step]", model_type: str, params: Mapping) -> Made:
    import pyarrow as pa

    from mlops_assets.core.judge.backtest import by_period, rows, summarise, table
    from mlops_assets.core.report.plots import markdown_image

    step_rows, metric = rows(steps), project.target.metric
    stored = project.storage.write_table("backtest_report", "backtest_report", pa.Table.from_pylist(step_rows))
    ranked = summarise(steps)
    plot = by_period(steps, metric.heading(project.target.unit))
    metadata = {
        "best_policy": ranked[0].policy.name,
        metric.key("best"): Quantity(ranked[0].loss, metric.unit_of(project.target.unit)),
        "model_type": model_type,
        "parameters": dg.MetadataValue.json(dict(params)),
        "periods": f"{min(step.period for step in steps)} to {max(step.period for step in steps)}",
        "policies": dg.MetadataValue.md(table(steps)),
        "backtest_rows": Hidden(step_rows),
        "backtest_plot": dg.MetadataValue.md(markdown_image(plot, "error and cost by period")),
    }
    return Made(stored.digest, stored.path, metadata)
