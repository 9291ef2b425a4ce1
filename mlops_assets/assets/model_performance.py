"""`model_performance`: a period's predictions beside what came true, and beside what the gate had promised."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.by_period import Result, make_periods, period_asset, period_check
from mlops_assets.assets.champion_model import answered_then, why_no_champion
from mlops_assets.assets.entry import LOOKED_AT, RETRY, AssetEntry, State
from mlops_assets.assets.memo import Made, begin, with_units
from mlops_assets.assets.realised import Line, RealisedPeriod, event_limits, realised_period
from mlops_assets.assets.recipes import is_tracked_here, tracking_place
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.monitor.performance import Realised, Segment, by_category, by_prediction, main_category
from mlops_assets.core.targets.metrics import Metric
from mlops_assets.errors import DataError
from mlops_assets.facts import Hidden, Quantity
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

NAME, CODE_VERSION = "model_performance", "2"
CHECK = "performance_as_promised"


def recipe(project: Project, period: str, cleaned: Record, champion: Record, previous: Record | None) -> Recipe:
    """A period's truth, the version that answered then, and the online rows about events of this period alone.

    A later champion does not change who answered, and what the prediction log has forgotten was still asked.
    """
    if not champion.value("champion_version"):
        raise DataError(f"there is no champion whose predictions could be judged: {why_no_champion(champion)}")
    settings = {
        "confidence": project.settings.confidence,
        "margin": project.settings.performance_margin,
        "tracking": tracking_place(project),
    }
    before = previous.recipe.parts if previous else {"data": {}}
    stand_in = champion.value("champion_version")
    if previous and is_tracked_here(project, previous.recipe):
        stand_in = before["upstream"]["version"]
    log = project.prediction_log.extent(*event_limits(project.spec, period))
    recorded = before["data"].get("newest online row", ""), before["data"].get("online rows", 0)
    newest_row, rows = max((log.newest, log.rows), recorded)
    return Recipe(
        {
            "code": CODE_VERSION,
            "settings": settings,
            "data": {"newest online row": newest_row, "online rows": rows},
            "upstream": {"clean_data": cleaned.content, "version": answered_then(champion, period) or stand_in},
        }
    )


def _recipe_now(state: State, partition: str | None) -> Recipe:
    records, period = state.records, partition or ""
    champion = records.newest("champion_model")
    return recipe(state.project, period, records.newest("clean_data", period), champion, records.latest(NAME, period))


def build(project: Project) -> dg.AssetsDefinition:
    @period_asset(
        ENTRY,
        project,
        deps=["clean_data", "predictions"],
        group_name="monitoring",
        kinds={"python"},
        retry_policy=RETRY,
        check_specs=[
            period_check(
                ENTRY,
                project,
                CHECK,
                description="Errors are about those that the gate had measured; intervals hold as often as they say.",
            )
        ],
    )
    def model_performance(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[Project], progress: dg.ResourceParam[Progress]
    ):
        """How good the predictions of a period were once the truth is known: in batch and online, by segment."""
        with project.registry.keeping_loaded():
            yield from make_periods(context, project, progress, partial(_measure, context, project))

    return model_performance


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="measure_performance",
    about="Compare one period's predictions with what came true.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="period",
    newest=LOOKED_AT,
    dashboard="predictions",
    # A period that is scored again has not been answered by another champion then.
    unmoved_by=frozenset({"predictions"}),
    once_in_a_retraining=True,  # the log of online predictions goes on growing meanwhile
)


def _measure(context: dg.AssetExecutionContext, project: Project, records: Records, period: str) -> Iterator[Result]:
    cleaned, champion = records.newest("clean_data", period), records.newest("champion_model")
    previous = records.latest(NAME, period)
    now = recipe(project, period, cleaned, champion, previous)
    making = begin(context, project, records, now, period)
    if making.unchanged:
        yield _check(*(making.newest.value(name) for name in ("kept", "beyond_doubt", "judgement")))
        yield making.again()
        return
    realised = realised_period(records, project, cleaned, making.recipe.parts["upstream"]["version"])
    judged = [judgement for line in realised.lines for judgement in line.judgements]
    verdict: dict[str, Any] = {
        "kept": all(judgement.kept for judgement in judged),
        "beyond_doubt": any(judgement.beyond_doubt for judgement in judged),
        "judgement": "; ".join([*(f"{line.name}: {line.verdict}" for line in realised.lines), *realised.notes]),
    }
    yield _check(verdict["kept"], verdict["beyond_doubt"], verdict["judgement"])
    content = Recipe({line.name: list(astuple(line.realised)) for line in realised.lines}).digest
    history = _coverage_by_period(records, realised, period)
    yield making.done(Made(content, None, _metadata(project, realised, period) | history | verdict))


def _coverage_by_period(records: Records, realised: RealisedPeriod, period: str) -> dict[str, Any]:
    """How often intervals held in each period that was looked at, this one included, beside what was promised."""
    from mlops_assets.core.report.plots import coverage_bars, markdown_image

    if not realised.lines or realised.lines[0].realised.coverage is None:
        return {}
    line = realised.lines[0]
    shares = {name: record.value("realised_coverage") for name, record in records.all_latest(NAME).items()}
    shares |= {period: line.realised.coverage}
    known = {name: share for name, share in sorted(shares.items()) if share is not None}
    plot = coverage_bars([*known], [*known.values()], line.coverage, title="Held by intervals, by period")
    return {"coverage_by_period_plot": dg.MetadataValue.md(markdown_image(plot, "coverage by period"))}


def _check(kept: bool, beyond_doubt: bool, judgement: str) -> dg.AssetCheckResult:
    """A failure is an error where chance does not explain it, else a warning."""
    return dg.AssetCheckResult(
        asset_key=NAME,
        check_name=CHECK,
        passed=kept,
        severity=dg.AssetCheckSeverity.ERROR if beyond_doubt else dg.AssetCheckSeverity.WARN,
        description=judgement,
    )


def _metadata(project: Project, realised: RealisedPeriod, period: str) -> dict[str, Any]:
    """Numbers of the batch, or of what was asked online where there is none; the same and more as a table."""
    if not realised.lines:
        return {"dagster/row_count": 0, "online_rows_asked": realised.asked_online}
    line, metric = realised.lines[0], project.target.metric
    unit, heading = project.target.unit, metric.heading(project.target.unit)
    segments = _segments(project, realised, line)
    metadata = {
        "performance": dg.MetadataValue.md(_table(realised.lines, segments, metric.label, heading)),
        "performance_plot": dg.MetadataValue.md(_plot(line, segments, metric.label, heading, period)),
        **_coverage(line, segments, period),
        "dagster/row_count": line.realised.rows,
        "model_version": line.version.number,
        "model_type": line.version.model_type,
        "registered_model": line.version.page,
        "learnt_from_it": line.learnt,
        "metric": metric.label,
        "metric_name": Hidden(metric.name),
        **_numbers("realised", line.realised, metric, unit),
        "online_rows_asked": realised.asked_online,
    }
    if line.promise:
        low, high = line.promise.interval.low, line.promise.interval.high
        promised = {"promised_low": low, "promised_high": high, metric.key("promised"): line.promise.loss}
        metadata |= {name: Quantity(value, metric.unit_of(unit)) for name, value in promised.items()}
    online = [line for line in realised.lines if line.way == "online"]
    if online:
        metadata |= _numbers("online", max(online, key=lambda line: line.realised.rows).realised, metric, unit)
        metadata["online_rows"] = sum(line.realised.rows for line in online)
    return metadata


def _coverage(line: Line, segments: Sequence[Segment], period: str) -> dict[str, Any]:
    """How often intervals held, by segment, beside what they are made to hold."""
    from mlops_assets.core.report.plots import coverage_bars, markdown_image

    parts = [("all rows", line.realised), *((segment.name, segment.realised) for segment in segments)]
    known = [(name, part.coverage) for name, part in parts if part.coverage is not None]
    if not known:
        return {}
    names, shares = zip(*known, strict=True)
    plot = coverage_bars(names, shares, line.coverage, title=f"Held by intervals in {period}")
    promised = {} if line.coverage is None else {"promised_coverage": line.coverage}
    return promised | {"coverage_plot": dg.MetadataValue.md(markdown_image(plot, "coverage by segment"))}


def _numbers(prefix: str, realised: Realised, metric: Metric, unit: str) -> dict[str, Quantity]:
    values = {name: getattr(realised, name) for name in ("mae", "bias", "coverage")} | {metric.name: realised.loss}
    return with_units({f"{prefix}_{name}": value for name, value in values.items() if value is not None}, unit)


def _segments(project: Project, realised: RealisedPeriod, line: Line) -> list[Segment]:
    """Of the batch, thirds of what was predicted and the main category; of other lines the thirds alone."""
    segments, category = by_prediction(line.outcomes), main_category(project.spec)
    if line.way == "batch" and category:
        segments += by_category(line.outcomes, realised.truth.columns[category], category)
    return [replace(segment, name=project.spec.redact(segment.name)) for segment in segments]


def _table(lines: Sequence[Line], segments: Sequence[Segment], label: str, heading: str) -> str:
    rows = [
        f"| rows | number | {heading} | MAE | bias | in their interval | promised {label} |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        promise = line.promise
        promised = f"{promise.loss:.4g} ({promise.interval.low:.4g} to {promise.interval.high:.4g})" if promise else ""
        rows.append(_row(f"**{line.name}**", line.realised, promised))
    rows += [_row(segment.name, segment.realised, "") for segment in segments]
    return "\n".join(rows)


def _row(name: str, realised: Realised, promised: str) -> str:
    coverage = "" if realised.coverage is None else f"{realised.coverage:.1%}"
    cells = [f"{realised.rows:,}", f"{realised.loss:.4g}", f"{realised.mae:.4g}", f"{realised.bias:+.4g}", coverage]
    return " | ".join([f"| {name.replace('|', '/')}", *cells, f"{promised} |"])


def _plot(line: Line, segments: Sequence[Segment], label: str, heading: str, period: str) -> str:
    from mlops_assets.core.report.plots import leaderboard_bars, markdown_image

    names = ["all rows", *(segment.name for segment in segments)]
    losses = [line.realised.loss, *(segment.realised.loss for segment in segments)]
    promised = {"promised": line.promise.loss} if line.promise else {}
    plot = leaderboard_bars(names, losses, (), promised, heading, title=f"{label} in {period}")
    return markdown_image(plot, "loss by segment")
