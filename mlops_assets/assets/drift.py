"""Drift by month: what of its rows is no longer like those that the model of its time has learnt from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.drift_basis import ASSET, Asked, Basis, ask, find_basis, read_sample
from mlops_assets.assets.making import OWNERS, RETRY, Made, begin, clear_failures
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import InputError, ModelError
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.drift import DriftReport, Sample

CHECK = "no_drift"
STRENGTH = "strength/"  # of a variable, a number that Dagster plots over time


def drift_asset(months: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """`drift_report` by month."""

    @dg.asset(
        name=ASSET,
        deps=["clean_data", "training_set", "predictions"],
        partitions_def=months,
        group_name="monitoring",
        owners=OWNERS,
        kinds={"python"},
        code_version=recipes.CODE_VERSIONS[ASSET],
        retry_policy=RETRY,
        check_specs=[
            dg.AssetCheckSpec(
                CHECK, asset=ASSET, description="Features, predictions and target are like those learnt from."
            )
        ],
    )
    def drift_report(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]):
        """Which features, predictions and targets of a month differ from the training window, and by how much."""
        with clear_failures(project):
            yield from _report(context, project)

    return drift_report


def _report(
    context: dg.AssetExecutionContext, project: Project
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    basis = find_basis(context.instance, project, context.partition_key)
    making = begin(context, project, basis.recipe(project))
    if making.unchanged:
        yield _check(making.record.value("drifted_count"), making.record.value("judgement"))
        yield making.again()
        return
    shown = _shown(project, basis)
    yield _check(shown["drifted_count"], shown["judgement"])
    content = Recipe({"rows": shown["drift_rows"].data, "judgement": shown["judgement"]}).digest
    yield making.done(Made(content, None, shown))


def _check(drifted: int, judgement: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=ASSET,
        check_name=CHECK,
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        description=judgement,
    )


def _shown(project: Project, basis: Basis) -> dict:
    from mlops_assets.core.drift import DriftReport, compare

    asked, note = _asked(project, basis)
    shown = {
        "dagster/row_count": basis.cleaned.value("dagster/row_count"),
        "reference_months": ", ".join(basis.reference) or "none",
        "last_year": basis.last_year.partition if basis.last_year else "none",
        "model_version": asked.version.number if asked else 0,
        "held_out": bool(asked and asked.held_out),
    }
    if not basis.reference:
        return shown | _told(project, DriftReport(()), f"no month before it to compare with{note}")
    model = asked.model if asked else None
    current, reference = (
        read_sample(project, records, model) for records in ([basis.cleaned], list(basis.reference.values()))
    )
    last_year = read_sample(project, [basis.last_year], model) if basis.last_year else None
    report = compare(current, reference, last_year, held_out=shown["held_out"])
    return shown | _told(project, report, note) | _plots(project, basis, report, current, reference)


def _asked(project: Project, basis: Basis) -> tuple[Asked | None, str]:
    """The model to ask, and a note where there is none that can answer."""
    try:
        return ask(project, basis), ""
    except (ModelError, InputError) as error:
        return None, f"; predictions are not compared: {error}"


def _told(project: Project, report: "DriftReport", note: str) -> dict:
    from mlops_assets.core.drift_views import rows, sentence, table

    redact = project.spec.redact
    judgement = f"{sentence(report)}{note}" if report.shifts else note
    told = [row | {"told": redact(row["told"])} for row in rows(report)]
    return {
        "drifted": ", ".join(shift.name for shift in report.drifted) or "none",
        "drifted_count": len(report.drifted),
        "judgement": redact(judgement),
        "drift": dg.MetadataValue.md(redact(table(report))),
        "drift_rows": dg.MetadataValue.json(told),
    } | {f"{STRENGTH}{shift.name}": shift.strongest.strength for shift in report.shifts}


def _plots(project: Project, basis: Basis, report: "DriftReport", current: "Sample", reference: "Sample") -> dict:
    from mlops_assets.core.drift_views import distributions, strengths
    from mlops_assets.core.plots import markdown_image

    plots = {"drift_plot": (strengths(report, f"Drift in {basis.cleaned.partition}"), "drift by variable")}
    if moved := distributions(report, current, reference):
        plots["distribution_plot"] = moved, "what moved most"
    return {name: dg.MetadataValue.md(markdown_image(*plot)) for name, plot in plots.items()}
