"""Realised performance: a month's predictions beside what came true, and beside what the gate had promised."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.memo import OWNERS, RETRY, Made, begin, clear_failures
from mlops_assets.assets.realised import Found, Line, find_outcomes
from mlops_assets.assets.records import latest, newest
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.monitor.performance import Realised, Segment, by_category, by_prediction, main_category
from mlops_assets.project import Project

ASSET, CHECK = "model_performance", "performance_as_promised"


def performance_asset(months: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """`model_performance` by month."""

    @dg.asset(
        name=ASSET,
        deps=["clean_data", "predictions"],
        partitions_def=months,
        group_name="monitoring",
        owners=OWNERS,
        kinds={"python"},
        code_version=recipes.CODE_VERSIONS[ASSET],
        retry_policy=RETRY,
        check_specs=[
            dg.AssetCheckSpec(CHECK, asset=ASSET, description="Errors are about those that the gate had measured.")
        ],
    )
    def model_performance(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]):
        """How good the predictions of a month were once the truth is known: in batch and online, by segment."""
        with clear_failures(project):
            yield from _measure(context, project)

    return model_performance


def _measure(
    context: dg.AssetExecutionContext, project: Project
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    month, instance = context.partition_key, context.instance
    cleaned, champion = newest(instance, "clean_data", month), newest(instance, "champion_model")
    previous = latest(instance, ASSET, month)
    making = begin(context, project, recipes.model_performance(project, month, cleaned, champion, previous))
    if making.unchanged:
        yield _check(*(making.record.value(name) for name in ("kept", "beyond_doubt", "judgement")))
        yield making.again()
        return
    found = find_outcomes(instance, project, cleaned, making.recipe.parts["upstream"]["version"])
    judged = [line.judgement for line in found.lines if line.judgement]
    verdict = {
        "kept": all(judgement.kept for judgement in judged),
        "beyond_doubt": any(judgement.beyond_doubt for judgement in judged),
        "judgement": "; ".join([*(f"{line.name}: {line.verdict}" for line in found.lines), *found.notes]),
    }
    yield _check(**verdict)
    content = Recipe({line.name: list(astuple(line.realised)) for line in found.lines}).digest
    yield making.done(Made(content, None, _shown(project, found, month) | verdict))


def _check(kept: bool, beyond_doubt: bool, judgement: str) -> dg.AssetCheckResult:
    """A failure is an error where chance does not explain it, else a warning."""
    return dg.AssetCheckResult(
        asset_key=ASSET,
        check_name=CHECK,
        passed=kept,
        severity=dg.AssetCheckSeverity.ERROR if beyond_doubt else dg.AssetCheckSeverity.WARN,
        description=judgement,
    )


def _shown(project: Project, found: Found, month: str) -> dict:
    """Numbers of the batch, or of what was asked online where there is none; the same and more as a table."""
    if not found.lines:
        return {"dagster/row_count": 0, "online_rows_asked": found.asked_online}
    line, unit = found.lines[0], project.spec.target.unit
    segments = _segments(project, found, line)
    shown = {
        "performance": dg.MetadataValue.md(_table(found.lines, segments, unit)),
        "performance_plot": dg.MetadataValue.md(_plot(line, segments, unit, month)),
        "dagster/row_count": line.realised.rows,
        "model_version": line.version.number,
        "model_type": line.version.model_type,
        "registered_model": dg.MetadataValue.url(line.version.url),
        "learnt_from_it": line.learnt,
        **_numbers("realised", line.realised),
        "online_rows_asked": found.asked_online,
    }
    if line.promise:
        low, high = line.promise.interval.low, line.promise.interval.high
        shown |= {"promised_rmse": line.promise.rmse, "promised_low": low, "promised_high": high}
    online = [line for line in found.lines if line.way == "online"]
    if online:
        shown |= _numbers("online", max(online, key=lambda line: line.realised.rows).realised)
        shown["online_rows"] = sum(line.realised.rows for line in online)
    return shown


def _numbers(prefix: str, realised: Realised) -> dict[str, float]:
    told = {name: getattr(realised, name) for name in ("rmse", "mae", "bias", "coverage")}
    return {f"{prefix}_{name}": value for name, value in told.items() if value is not None}


def _segments(project: Project, found: Found, line: Line) -> list[Segment]:
    """Of the batch, thirds of what was predicted and the main category; of other lines the thirds alone."""
    segments, category = by_prediction(line.outcomes), main_category(project.spec)
    if line.way == "batch" and category:
        segments += by_category(line.outcomes, found.truth.columns[category], category)
    return [replace(segment, name=project.spec.redact(segment.name)) for segment in segments]


def _table(lines: Sequence[Line], segments: Sequence[Segment], unit: str) -> str:
    rows = [
        f"| rows | number | RMSE{f' ({unit})' if unit else ''} | MAE | bias | in their interval | promised RMSE |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        promise = line.promise
        told = f"{promise.rmse:.4g} ({promise.interval.low:.4g} to {promise.interval.high:.4g})" if promise else ""
        rows.append(_row(f"**{line.name}**", line.realised, told))
    rows += [_row(segment.name, segment.realised, "") for segment in segments]
    return "\n".join(rows)


def _row(name: str, realised: Realised, promised: str) -> str:
    coverage = "" if realised.coverage is None else f"{realised.coverage:.1%}"
    cells = [f"{realised.rows:,}", f"{realised.rmse:.4g}", f"{realised.mae:.4g}", f"{realised.bias:+.4g}", coverage]
    return " | ".join([f"| {name.replace('|', '/')}", *cells, f"{promised} |"])


def _plot(line: Line, segments: Sequence[Segment], unit: str, month: str) -> str:
    from mlops_assets.core.report.plots import leaderboard_bars, markdown_image

    names = ["all rows", *(segment.name for segment in segments)]
    rmse = [line.realised.rmse, *(segment.realised.rmse for segment in segments)]
    promised = {"promised": line.promise.rmse} if line.promise else {}
    plot = leaderboard_bars(names, rmse, (), promised, unit, title=f"RMSE in {month}")
    return markdown_image(plot, "RMSE by segment")
