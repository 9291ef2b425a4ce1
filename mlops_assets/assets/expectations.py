"""What the dataset expects of each candidate (`expect` in its YAML), as a check of the assets that fit them."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.checks import check_results, check_specs
from mlops_assets.assets.entry import AssetEntry
from mlops_assets.assets.records import VERSION, Records
from mlops_assets.core.prepare.quality import CheckOutcome, QualityCheck
from mlops_assets.facts import facts_of
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.judge.expectations import Finding

CHECK = QualityCheck("behaves_as_expected", "It keeps what the dataset's YAML expects of it.", False)


def expectation_checks(entry: AssetEntry, project: Project) -> list[dg.AssetCheckSpec]:
    """The check of an asset that makes candidates; none where nothing is expected."""
    return check_specs(entry, project, (CHECK,)) if project.spec.expect else []


def examined(
    entry: AssetEntry, project: Project, records: Records, made: dg.MaterializeResult[Any]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    """A candidate with the outcome of its check, on rows of the newest period that it was validated on."""
    if project.spec.expect:
        yield from check_results(entry.name, [_outcome(project, records, facts_of(made.metadata or {})[VERSION])])
    yield made


def _outcome(project: Project, records: Records, number: int) -> CheckOutcome:
    from mlops_assets.core.columns import from_table
    from mlops_assets.core.judge.expectations import examine
    from mlops_assets.core.training_set import TrainingSet

    inputs, built = project.spec.inputs(), records.newest("training_set")
    period = TrainingSet.load(project.storage.local_folder(built.stored_path)).periods.validation[-1]
    table = project.storage.read_table(records.newest("clean_data", period).stored_path, list(inputs))
    found = examine(project.registry.load(number), from_table(table, inputs), project.spec.expect)
    unkept = [finding for finding in found if not finding.is_met]
    said = "; ".join(finding.sentence for finding in unkept or found)
    return CheckOutcome(CHECK.name, not unkept, CHECK.blocking, said, {"version": number} | _numbers(found))


def _numbers(found: "tuple[Finding, ...]") -> dict[str, float | int | str]:
    """By expectation the share of rows that break it, and the row that does so most as JSON."""
    shares = {finding.expectation.title: finding.share for finding in found}
    rows = {f"{finding.expectation.title}, such as": json.dumps(finding.row) for finding in found if finding.row}
    return shares | rows
