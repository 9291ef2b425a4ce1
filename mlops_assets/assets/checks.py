"""Asset checks of one month, and the column schemas that the Dagster UI shows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.core.prepare.quality import CLEAN_CHECKS, RAW_CHECKS, CheckOutcome, QualityCheck
from mlops_assets.errors import DataError

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema


def check_specs(asset: str) -> list[dg.AssetCheckSpec]:
    """The checks that run with an asset; those that would harm a model are blocking."""
    rules: Sequence[QualityCheck] = {"raw_data": RAW_CHECKS, "clean_data": CLEAN_CHECKS}[asset]
    return [
        dg.AssetCheckSpec(name=rule.name, asset=asset, description=rule.description, blocking=rule.blocking)
        for rule in rules
    ]


def check_results(asset: str, outcomes: Sequence[CheckOutcome]) -> Iterator[dg.AssetCheckResult]:
    for outcome in outcomes:
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=outcome.name,
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR if outcome.blocking else dg.AssetCheckSeverity.WARN,
            description=outcome.description,
            metadata=outcome.numbers,
        )


def not_judged(asset: str, why: str) -> Iterator[dg.AssetCheckResult]:
    """Results of all checks of an asset that has no table; Dagster takes a step without them for a failed one."""
    for spec in check_specs(asset):
        severity, message = dg.AssetCheckSeverity.WARN, f"not judged: {why}"
        yield dg.AssetCheckResult(
            asset_key=asset, check_name=spec.name, passed=True, severity=severity, description=message
        )


def stop_if_harmful(month: str, outcomes: Sequence[CheckOutcome]) -> None:
    """Raise DataError where a blocking check failed: the month's last good state stays."""
    harmful = [
        f"{outcome.name} ({outcome.description})" for outcome in outcomes if outcome.blocking and not outcome.passed
    ]
    if harmful:
        raise DataError(f"{month} is not used: {'; '.join(harmful)}")


def column_schema(schema: DataFrameSchema) -> dict[str, dg.MetadataValue]:
    """A pandera schema as the column table of the Dagster UI."""
    from dagster_pandera import pandera_schema_to_dagster_type

    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # the pin keeps it as it is
        return {"dagster/column_schema": pandera_schema_to_dagster_type(schema).metadata["schema"]}
