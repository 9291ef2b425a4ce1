"""Assets by period: one run makes many periods, and records each as soon as it is made.

Dagster by itself records all periods of a run at its end, with one data version for all, or none of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import dagster as dg

from mlops_assets.assets.entry import OWNERS, AssetEntry
from mlops_assets.assets.memo import INTERRUPTED, clear_failures, repeated
from mlops_assets.assets.records import SKIPPED, Records
from mlops_assets.compat import RECORDED, version_tags
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

FAILED_PERIODS = "failed_periods"  # in the metadata of a failed step: the reason by period

Result: TypeAlias = dg.AssetCheckResult | dg.MaterializeResult[Any]
# What makes a period: its checks, and then what is to be recorded of it.
MakePeriod: TypeAlias = Callable[[Records, str], Iterator[Result]]
Event: TypeAlias = dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.Output[None]


class PeriodSkipped(Exception):
    """The source does not have a period: nothing is made of it, what was made stays, and nothing is wrong."""


def period_asset(
    entry: AssetEntry, project: Project, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """`dg.asset` for an asset whose function yields what `make_periods` gives it."""

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        with _new_in_dagster():
            return dg.asset(
                function,
                partitions_def=entry.partitions(project),
                backfill_policy=dg.BackfillPolicy.single_run(),
                dagster_type=dg.Nothing,
                output_required=False,
                owners=OWNERS,
                code_version=entry.code_version,
                **options,
            )

    return decorate


def period_check(entry: AssetEntry, project: Project, name: str, **options: Any) -> dg.AssetCheckSpec:
    """A check of each period."""
    with _new_in_dagster():
        return dg.AssetCheckSpec(name, asset=entry.name, partitions_def=entry.partitions(project), **options)


@contextmanager
def _new_in_dagster() -> Iterator[None]:
    """Warnings of what may change are for whoever chooses it; the pin keeps it as it is."""
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield


def make_periods(
    context: dg.AssetExecutionContext, project: Project, progress: Progress, make: MakePeriod
) -> Iterator[Event]:
    """Make the periods of a run one after the other.

    One that fails leaves the others standing: all that did are named at the end, in a dagster.Failure. A retry of the
    step makes these alone.
    """
    asset, periods = context.asset_key.to_user_string(), context.partition_keys
    records = Records(context.instance)
    failures: dict[str, dg.Failure] = {}
    for number, period in enumerate(periods, 1):
        if (record := records.latest(asset, period)) and record.run_id == context.run.run_id:
            continue
        try:
            with clear_failures(project):
                yield from (_event(context, period, result) for result in _make(context, records, make, period))
        except dg.Failure as failure:
            if failure.description == INTERRUPTED:
                raise
            failures[period] = failure
            context.log.error(f"{asset}[{period}]: {failure.description}")
        progress.period(context, period, number, len(periods))
    if failures:
        raise _together(failures, len(periods))
    for output in context.assets_def.check_specs_by_output_name:
        yield dg.Output(None, output_name=output)
    yield dg.Output(None, metadata=RECORDED)


def failed_periods(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, str]:
    """The reason by period, from the metadata of a failed step; empty where it was no step of periods."""
    value = metadata[FAILED_PERIODS].value if FAILED_PERIODS in metadata else {}
    return {str(period): str(reason) for period, reason in value.items()} if isinstance(value, Mapping) else {}


def _make(context: dg.AssetExecutionContext, records: Records, make: MakePeriod, period: str) -> Iterator[Result]:
    """A period's results; one that is skipped upstream is skipped here as well."""
    asset = context.asset_key.to_user_string()
    try:
        for key in context.assets_def.dependency_keys:
            if reason := records.why_skipped(key.to_user_string(), period):
                raise PeriodSkipped(reason)
        yield from make(records, period)
    except PeriodSkipped as skip:
        context.log.warning(f"{asset}[{period}] is skipped: {skip}")
        for spec in context.assets_def.check_specs:
            severity, why = dg.AssetCheckSeverity.WARN, f"not judged: {skip}"
            yield dg.AssetCheckResult(passed=True, check_name=spec.name, severity=severity, description=why)
        record = records.latest(asset, period)
        yield repeated(record, str(skip)) if record else dg.MaterializeResult(metadata={SKIPPED: str(skip)})
    records.forget(asset, period)


def _event(context: dg.AssetExecutionContext, period: str, result: Result) -> Event:
    """What Dagster would record of a run of this period alone."""
    if isinstance(result, dg.AssetCheckResult):
        spec = next(spec for spec in context.assets_def.check_specs if spec.name == result.check_name)
        return dg.AssetCheckEvaluation(
            asset_key=context.asset_key,
            check_name=spec.name,
            passed=result.passed,
            metadata=result.metadata,
            severity=result.severity,
            description=result.description,
            blocking=spec.blocking,
            partition=period,
        )
    tags = version_tags(context, result.data_version)
    return dg.AssetMaterialization(context.asset_key, partition=period, metadata=result.metadata, tags=tags)


def _together(failures: Mapping[str, dg.Failure], of: int) -> dg.Failure:
    """One failure for all periods that did; the one of a single period, where the run was of no other."""
    reasons = {period: failure.description or "it failed without saying why" for period, failure in failures.items()}
    first = next(iter(failures.values()))
    text = "; ".join(f"{period}: {reason}" for period, reason in reasons.items())
    together = dg.Failure(
        next(iter(reasons.values())) if of == 1 else f"{len(failures)} of {of} periods failed: {text}",
        metadata={FAILED_PERIODS: dg.MetadataValue.json(reasons)},
        allow_retries=any(failure.allow_retries for failure in failures.values()),
    )
    return together.with_traceback(first.__traceback__)
