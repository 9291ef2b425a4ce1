"""Asset checks, and the column schemas that the Dagster UI shows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets.by_period import period_check
from mlops_assets.assets.entry import AssetEntry
from mlops_assets.core.prepare.quality import CheckOutcome, QualityCheck
from mlops_assets.errors import DataError
from mlops_assets.project import Project

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema


def check_specs(entry: AssetEntry, project: Project, rules: Sequence[QualityCheck]) -> list[dg.AssetCheckSpec]:
    """The checks that run with an asset; those that would harm a model are blocking."""
    return [
        period_check(entry, project, rule.name, description=rule.description, blocking=rule.blocking) for rule in rules
    ]


def asset_checks(asset: str, rules: Sequence[QualityCheck]) -> list[dg.AssetCheckSpec]:
    """The same of an asset without periods."""
    return [
        dg.AssetCheckSpec(rule.name, asset=asset, description=rule.description, blocking=rule.blocking)
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


def stop_if_harmful(what: str, outcomes: Sequence[CheckOutcome]) -> None:
    """Raise DataError where a blocking check failed: the last good state, such as of a period, stays."""
    harmful = [
        f"{outcome.name} ({outcome.description})" for outcome in outcomes if outcome.blocking and not outcome.passed
    ]
    if harmful:
        raise DataError(f"{what} is not used: {'; '.join(harmful)}")


def column_schema(schema: DataFrameSchema) -> dict[str, dg.MetadataValue]:
    """A pandera schema as the column table of the Dagster UI."""
    from dagster_pandera import pandera_schema_to_dagster_type

    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # the pin keeps it as it is
        return {"dagster/column_schema": pandera_schema_to_dagster_type(schema).metadata["schema"]}
