"""Sources of what Dagster's assets recorded: materialisations, the numbers in their metadata, and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_assets.addresses import dagster_asset_page, dagster_run_page
from mlops_assets.dashboards.catalogue import Catalogue
from mlops_assets.dashboards.sources.feeds import Derived, Feed, derived
from mlops_assets.dashboards.sources.runs import model_type_of
from mlops_assets.dashboards.sources.source import Reading, Source, none_where_missing, records, table
from mlops_assets.facts import unfolded

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from mlops_assets.project import Project

MOST_OF_AN_ASSET = 2_000
MOST_OF_A_CHECK = 2_000
PAGE = 100  # an event carries its plots
LONGEST_TEXT = 2_000
_IDENTITY: dict[str, Any] = {
    "time": "time: When it was made.",
    "asset": "text: Name of the asset.",
    "partition": "text: Period or model type.",
    "model_type": "text: Model type, where it is of one.",
    "latest": "flag: The newest of its asset and partition.",
}
_NOTHING = "Nothing was materialised yet: `mlops-assets run` makes everything."
MATERIALISATIONS = table(
    "materialisations",
    "What was made of each asset, one row each time.",
    _NOTHING,
    id="text: Number of the event in Dagster.",
    **_IDENTITY,
    group="text: Group of the asset.",
    computed="flag: False where nothing had changed, so that nothing was computed.",
    reason="text: Why it was made again, or not.",
    details="mapping: Metadata by name, without plots.",
    link="text: Its page in Dagster.",
)
NUMBERS = table(
    "numbers",
    "The numbers that each materialisation recorded, one row each.",
    _NOTHING,
    **_IDENTITY,
    name="text: Name of the number, such as `row_count`.",
    value="number: The number.",
)
CHECKS = table(
    "checks",
    "Evaluations of asset checks, one row each.",
    "No check was evaluated yet: they run with `raw_data`, `clean_data` and the monitoring assets.",
    id="text: Number of the evaluation in Dagster.",
    time="time: When it was evaluated.",
    asset="text: Name of the asset.",
    check="text: Name of the check.",
    partition="text: Period or model type.",
    passed="flag: Whether it passed.",
    outcome="text: passed, warned or failed.",
    run="text: Id of the run that evaluated it.",
    description="text: What it found.",
    latest="flag: The newest of its check and partition.",
    link="text: The page of the asset's checks in Dagster.",
)


def asset_sources(
    instance: dg.DagsterInstance, project: Project, catalogue: Catalogue, runs: Callable[[], Reading]
) -> list[Source]:
    """`materialisations`, `numbers` and `checks`; of each asset and each check the newest 2,000."""
    read_made, read_checks = (partial(read, instance, project, catalogue) for read in (_read_made, _read_checks))
    events = Feed("materialisations", read_made, MATERIALISATIONS.columns, most=MOST_OF_AN_ASSET * 20)
    made = Derived(lambda frame: with_latest(frame, "asset", "partition"), events.reading)
    evaluated = Feed("checks", read_checks, CHECKS.columns, most=MOST_OF_A_CHECK * 20)
    checks = Derived(_with_partition, evaluated.reading, runs)
    return [
        MATERIALISATIONS.source(made.reading, events.forget),
        derived(NUMBERS, _numbers, made.reading),
        CHECKS.source(checks.reading, evaluated.forget),
    ]


def with_latest(frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Rows in the order of time, with the flag `latest` on the last of each group."""
    return frame.assign(latest=~frame.duplicated(list(keys), keep="last"))


def _with_partition(checks: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Dagster writes down the partition with the run, and not with the check."""
    of_run = checks["run"].map(runs.set_index("id")["partition"])
    partition = none_where_missing(checks["partition"].where(checks["partition"].notna(), of_run))
    return with_latest(checks.assign(partition=partition), "asset", "check", "partition")


def plain(value: Any) -> Any:
    """A metadata value as plain Python; None where it is a plot, a schema or some other thing that is no value."""
    content = getattr(value, "value", None)
    kind = type(value).__name__
    if kind in ("IntMetadataValue", "FloatMetadataValue", "BoolMetadataValue", "JsonMetadataValue", "UrlMetadataValue"):
        return content
    if kind == "TextMetadataValue" and isinstance(content, str) and len(content) <= LONGEST_TEXT:
        return content
    return None


def _numbers(made: pd.DataFrame) -> Iterator[dict]:
    """One row for each number of each materialisation."""
    for row in records(made):
        shared = {name: getattr(row, name) for name in _IDENTITY}
        for name, value in row.details.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield shared | {"name": name.removeprefix("dagster/"), "value": value}


def _read_made(
    instance: dg.DagsterInstance, project: Project, catalogue: Catalogue, known_rows: pd.DataFrame
) -> Iterator[list[dict]]:
    """Of each asset what is newer than what is known of it."""
    from dagster import AssetRecordsFilter

    newest = known_rows["id"].astype("int64").groupby(known_rows["asset"]).max().to_dict()
    for key in instance.get_asset_keys():
        selection = AssetRecordsFilter(key, after_storage_id=newest.get(key.to_user_string()))
        cursor, left = None, MOST_OF_AN_ASSET
        while left > 0:
            page = instance.fetch_materializations(selection, limit=PAGE, cursor=cursor)
            events = [(record, record.asset_materialization) for record in page.records]
            yield [_made(record, event, project, catalogue) for record, event in events if event]
            if not page.has_more:
                break
            cursor, left = page.cursor, left - PAGE


def _made(
    record: dg.EventLogRecord, materialisation: dg.AssetMaterialization, project: Project, catalogue: Catalogue
) -> dict:
    asset = materialisation.asset_key.to_user_string()
    details = unfolded({name: plain(value) for name, value in materialisation.metadata.items()})
    details.pop("recipe", None)
    model_type = model_type_of(materialisation.partition, asset, project)
    dagster = project.settings.dagster_url
    return {
        "id": str(record.storage_id),
        "time": datetime.fromtimestamp(record.timestamp, UTC),
        "asset": asset,
        "partition": materialisation.partition,
        "model_type": model_type or details.get("model_type"),
        "group": catalogue.groups.get(asset),
        "computed": details.get("recomputed", True),
        "reason": details.get("reason"),
        "details": {name: value for name, value in details.items() if value is not None},
        "link": dagster_run_page(dagster, record.run_id) if record.run_id else dagster_asset_page(dagster, asset),
    }


def _read_checks(
    instance: dg.DagsterInstance, project: Project, catalogue: Catalogue, known_rows: pd.DataFrame
) -> Iterator[list[dict]]:
    """Newest first, up to a page that holds a known one: a check is written down when it is planned, and later once
    more with its result.
    """
    from dagster import AssetCheckKey, AssetKey

    known_ids = set(known_rows["id"])
    for asset, name in catalogue.checks:
        key, cursor, left = AssetCheckKey(AssetKey(asset.split("/")), name), None, MOST_OF_A_CHECK
        while left > 0:
            page = instance.event_log_storage.get_asset_check_execution_history(key, PAGE, cursor)
            events = [(record, record.event.asset_check_evaluation) for record in page if record.event]
            yield [_evaluated(record, evaluation, project) for record, evaluation in events if evaluation]
            if len(page) < PAGE or known_ids & {str(record.id) for record in page}:
                break
            cursor, left = page[-1].id, left - PAGE


def _evaluated(record: Any, evaluation: dg.AssetCheckEvaluation, project: Project) -> dict:
    asset = evaluation.asset_key.to_user_string()
    failed = "failed" if evaluation.severity.value == "ERROR" else "warned"
    return {
        "id": str(record.id),
        "time": datetime.fromtimestamp(record.event.timestamp, UTC),
        "asset": asset,
        "check": evaluation.check_name,
        "partition": evaluation.partition or record.partition,
        "passed": evaluation.passed,
        "outcome": "passed" if evaluation.passed else failed,
        "description": evaluation.description,
        "run": record.run_id,
        "link": f"{dagster_asset_page(project.settings.dagster_url, asset)}?view=checks",
    }
