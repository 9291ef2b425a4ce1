"""Sources of what Dagster's assets recorded: materialisations, the numbers in their metadata, and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mlops_assets.dashboards.catalogue import Catalogue
from mlops_assets.dashboards.sources.feeds import Derived, Feed
from mlops_assets.dashboards.sources.runs import model_type_of
from mlops_assets.dashboards.sources.source import Reading, Source, as_frame, columns, none_where_missing, records
from mlops_assets.facts import unfolded

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from mlops_assets.project import Project

MOST_OF_AN_ASSET = 2_000
MOST_OF_A_CHECK = 2_000
PAGE = 100  # an event carries its plots
LONGEST_TEXT = 2_000
_IDENTITY = {
    "time": "time: When it was made.",
    "asset": "text: Name of the asset.",
    "partition": "text: Period or model type.",
    "model_type": "text: Model type, where it is of one.",
    "latest": "flag: The newest of its asset and partition.",
}
COLUMNS = columns(
    id="text: Number of the event in Dagster.",
    **_IDENTITY,
    group="text: Group of the asset.",
    computed="flag: False where nothing had changed, so that nothing was computed.",
    reason="text: Why it was made again, or not.",
    details="mapping: Metadata by name, without plots.",
    link="text: Its page in Dagster.",
)
NUMBERS = columns(**_IDENTITY, name="text: Name of the number, such as `row_count`.", value="number: The number.")
CHECKS = columns(
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
EMPTY = "Nothing was materialised yet: `mlops-assets run` makes everything."


def asset_sources(
    instance: dg.DagsterInstance, project: Project, catalogue: Catalogue, runs: Callable[[], Reading]
) -> list[Source]:
    """`materialisations`, `numbers` and `checks`; of each asset and each check the newest 2,000."""
    store = _Materialisations(instance, project, catalogue)
    events = Feed("materialisations", store.read, COLUMNS, most=MOST_OF_AN_ASSET * 20)
    materialisations = Derived(lambda frame: with_latest(frame, "asset", "partition"), events.reading)
    numbers = Derived(_numbers, materialisations.reading)
    evaluated = Feed("checks", _Checks(instance, project, catalogue).read, CHECKS, most=MOST_OF_A_CHECK * 20)
    checks = Derived(_with_partition, evaluated.reading, runs)
    return [
        Source(
            "materialisations",
            "What was made of each asset, one row each time.",
            COLUMNS,
            materialisations.reading,
            EMPTY,
            forget=events.forget,
        ),
        Source(
            "numbers", "The numbers that each materialisation recorded, one row each.", NUMBERS, numbers.reading, EMPTY
        ),
        Source(
            "checks",
            "Evaluations of asset checks, one row each.",
            CHECKS,
            checks.reading,
            "No check was evaluated yet: they run with `raw_data`, `clean_data` and the monitoring assets.",
            forget=evaluated.forget,
        ),
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


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each number of each materialisation."""
    names = ("time", "asset", "partition", "model_type", "latest")
    rows = [
        {**{name: getattr(row, name) for name in names}, "name": name.removeprefix("dagster/"), "value": value}
        for row in records(frame)
        for name, value in row.details.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return as_frame(rows, NUMBERS)


class _Materialisations:
    def __init__(self, instance: dg.DagsterInstance, project: Project, catalogue: Catalogue) -> None:
        self._instance, self._groups = instance, catalogue.groups
        self._url = project.settings.dagster_url.rstrip("/")
        self._xgboost = next(iter(project.xgboost_types), "XGBoost")

    def read(self, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
        newest = (
            known_rows["id"].astype("int64").groupby(known_rows["asset"]).max().to_dict() if len(known_rows) else {}
        )
        for key in self._instance.get_asset_keys():
            yield from self._of_asset(key, newest.get(key.to_user_string()))

    def _of_asset(self, key: dg.AssetKey, after: int | None) -> Iterator[list[dict]]:
        from dagster import AssetRecordsFilter

        selection, cursor, left = AssetRecordsFilter(key, after_storage_id=after), None, MOST_OF_AN_ASSET
        while left > 0:
            page = self._instance.fetch_materializations(selection, limit=PAGE, cursor=cursor)
            yield [
                self._row(record, materialisation)
                for record in page.records
                if (materialisation := record.asset_materialization)
            ]
            if not page.has_more:
                return
            cursor, left = page.cursor, left - PAGE

    def _row(self, record: dg.EventLogRecord, materialisation: dg.AssetMaterialization) -> dict:
        asset = materialisation.asset_key.to_user_string()
        details = unfolded({name: plain(value) for name, value in materialisation.metadata.items()})
        details.pop("recipe", None)
        model_type = model_type_of(materialisation.partition, asset, self._xgboost)
        return {
            "id": str(record.storage_id),
            "time": _moment(record.timestamp),
            "asset": asset,
            "partition": materialisation.partition,
            "model_type": model_type or details.get("model_type"),
            "group": self._groups.get(asset),
            "computed": details.get("recomputed", True),
            "reason": details.get("reason"),
            "details": {name: value for name, value in details.items() if value is not None},
            "link": f"{self._url}/runs/{record.run_id}" if record.run_id else f"{self._url}/assets/{asset}",
        }


class _Checks:
    def __init__(self, instance: dg.DagsterInstance, project: Project, catalogue: Catalogue) -> None:
        self._instance, self._checks = instance, catalogue.checks
        self._url = project.settings.dagster_url.rstrip("/")

    def read(self, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
        """Newest first, up to a page that holds a known one: a check is written down when it is planned, and later
        once more with its result.
        """
        known_ids = set(known_rows["id"])
        for asset, name in self._checks:
            yield from self._of_check(asset, name, known_ids)

    def _of_check(self, asset: str, name: str, known_ids: set[str]) -> Iterator[list[dict]]:
        from dagster import AssetCheckKey, AssetKey

        key, cursor, left = AssetCheckKey(AssetKey(asset.split("/")), name), None, MOST_OF_A_CHECK
        while left > 0:
            page = self._instance.event_log_storage.get_asset_check_execution_history(key, PAGE, cursor)
            events = [(record, record.event.asset_check_evaluation) for record in page if record.event]
            yield [self._row(record, evaluation) for record, evaluation in events if evaluation]
            if len(page) < PAGE or known_ids & {str(record.id) for record in page}:
                return
            cursor, left = page[-1].id, left - PAGE

    def _row(self, record: Any, evaluation: dg.AssetCheckEvaluation) -> dict:
        asset = evaluation.asset_key.to_user_string()
        failed = "failed" if evaluation.severity.value == "ERROR" else "warned"
        return {
            "id": str(record.id),
            "time": _moment(record.event.timestamp),
            "asset": asset,
            "check": evaluation.check_name,
            "partition": evaluation.partition or record.partition,
            "passed": evaluation.passed,
            "outcome": "passed" if evaluation.passed else failed,
            "description": evaluation.description,
            "run": record.run_id,
            "link": f"{self._url}/assets/{asset}?view=checks",
        }


def _moment(seconds: float) -> pd.Timestamp:
    from pandas import Timestamp

    return Timestamp(seconds, unit="s", tz="UTC")
