"""Many periods in one run: each recorded by itself, failing alone, and retried alone."""

from types import SimpleNamespace

import dagster as dg
import pytest

from mlops_assets.assets.by_period import (
    FAILED_PERIODS,
    PeriodSkipped,
    failed_periods,
    make_periods,
    period_asset,
    period_check,
)
from mlops_assets.assets.entry import RETRY, AssetEntry
from mlops_assets.assets.memo import INTERRUPTED
from mlops_assets.assets.records import CONTENT, RECIPE, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError, SourceUnreachable
from mlops_assets.resources.progress import LogProgress
from mlops_assets.run_tags import tags_of
from mlops_assets_tests.assets.conftest import QUIET

PERIODS = dg.MonthlyPartitionsDefinition("2024-01", end_date="2024-07", fmt="%Y-%m")
PROJECT = SimpleNamespace(spec=SimpleNamespace(redact=lambda text: text))


class Notes:
    """Two assets by period, `raw` and `clean` below it, whose code is given as what it does in a period."""

    def __init__(self, instance):
        self.instance, self.does, self.made = instance, {}, []
        self.assets = [self._asset("raw", []), self._asset("clean", ["raw"])]

    def _asset(self, name, deps):
        entry = AssetEntry(name, "3", name, "", None, None)
        object.__setattr__(entry, "partitions", lambda project: PERIODS)
        check = period_check(entry, PROJECT, "fine", blocking=True)

        @period_asset(entry, PROJECT, name=name, deps=deps, retry_policy=RETRY, check_specs=[check])
        def asset(context: dg.AssetExecutionContext):
            yield from make_periods(context, PROJECT, LogProgress(), lambda records, period: self._make(name, period))

        return asset

    def _make(self, name, period):
        problem = self.does.get((name, period))
        if isinstance(problem, list):
            problem = problem.pop() if problem else None
        if problem and not isinstance(problem, DataError):
            raise problem
        yield dg.AssetCheckResult(check_name="fine", passed=problem is None, metadata={"period": period})
        if problem:
            raise problem
        self.made.append((name, period))
        metadata = {RECIPE: Recipe({"code": "1"}).to_json(), CONTENT: f"{name} {period}"}
        yield dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(f"{name} {period}"))

    def run(self, first, last, *names, tags=None):
        job = dg.Definitions(self.assets, executor=dg.in_process_executor).resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey(name) for name in names or ("raw",)]
        options = {"asset_selection": selection, "run_config": QUIET, "raise_on_error": False}
        return job.execute_in_process(instance=self.instance, tags=tags_of(first, last) | (tags or {}), **options)

    def periods(self, name="raw"):
        return list(Records(self.instance).all_latest(name))


@pytest.fixture
def notes():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Notes(instance)


def failure(result):
    (data,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return data.user_failure_data


def checks(notes, name="raw"):
    key = dg.AssetCheckKey(dg.AssetKey(name), "fine")
    history = notes.instance.event_log_storage.get_asset_check_execution_history(key, 99)
    return {record.partition: record.event.asset_check_evaluation.passed for record in history if record.event}


def test_each_period_of_a_run_has_its_own_record_check_and_data_version(notes):
    assert notes.run("2024-02", "2024-04").success
    records = Records(notes.instance).all_latest("raw")
    assert {period: record.content for period, record in records.items()} == {
        period: f"raw {period}" for period in ("2024-02", "2024-03", "2024-04")
    }
    events = notes.instance.fetch_materializations(dg.AssetKey("raw"), limit=9).records
    versions = {one.partition_key: one.asset_materialization.tags["dagster/data_version"] for one in events}
    assert versions == {period: f"raw {period}" for period in records}
    assert checks(notes) == dict.fromkeys(records, True)


def test_a_period_alone_is_a_run_like_any_other(notes):
    assert notes.run("2024-05", "2024-05", "raw", "clean").success
    assert notes.periods() == notes.periods("clean") == ["2024-05"]


def test_assets_of_one_run_are_made_one_after_the_other(notes):
    assert notes.run("2024-01", "2024-02", "raw", "clean").success
    assert notes.made == [("raw", "2024-01"), ("raw", "2024-02"), ("clean", "2024-01"), ("clean", "2024-02")]


def test_a_period_that_fails_leaves_the_others_standing_and_is_named(notes):
    notes.does["raw", "2024-02"] = DataError("no row is good")
    result = notes.run("2024-01", "2024-03")
    assert not result.success and notes.periods() == ["2024-01", "2024-03"]
    assert failure(result).description == "1 of 3 periods failed: 2024-02: no row is good"
    assert failed_periods(failure(result).metadata) == {"2024-02": "no row is good"}
    assert checks(notes) == {"2024-01": True, "2024-02": False, "2024-03": True}


def test_a_period_that_fails_alone_says_so_in_its_own_words(notes):
    notes.does["raw", "2024-02"] = DataError("no row is good")
    told = failure(notes.run("2024-02", "2024-02"))
    assert told.description == "no row is good" and FAILED_PERIODS in told.metadata


def test_only_what_failed_is_tried_again(notes, no_waits):
    notes.does["raw", "2024-02"] = [SourceUnreachable("away")]
    assert notes.run("2024-01", "2024-03").success
    assert notes.made == [("raw", "2024-01"), ("raw", "2024-03"), ("raw", "2024-02")]


def test_what_will_fail_again_is_not_tried_again(notes):
    notes.does["raw", "2024-02"] = [DataError("no row is good")]
    assert not notes.run("2024-01", "2024-03").success


def test_an_interruption_keeps_what_was_made_and_ends_the_run(notes):
    notes.does["raw", "2024-02"] = KeyboardInterrupt()
    result = notes.run("2024-01", "2024-03")
    assert failure(result).description == INTERRUPTED and notes.periods() == ["2024-01"]


def test_a_period_that_the_source_does_not_have_is_skipped_there_and_below(notes):
    notes.does["raw", "2024-02"] = [PeriodSkipped("the source does not have it")]
    assert notes.run("2024-01", "2024-03", "raw", "clean").success
    assert notes.periods() == notes.periods("clean") == ["2024-01", "2024-03"]
    # Dagster counts it as made, so that a backfill of what stands below goes on.
    assert notes.instance.get_materialized_partitions(dg.AssetKey("clean")) == {"2024-01", "2024-02", "2024-03"}
    assert notes.run("2024-02", "2024-02", "raw", "clean").success
    assert notes.periods("clean") == ["2024-01", "2024-02", "2024-03"]


def test_what_was_made_of_a_period_stays_where_the_source_forgets_it(notes):
    assert notes.run("2024-02", "2024-02").success
    notes.does["raw", "2024-02"] = PeriodSkipped("the source does not have it")
    assert notes.run("2024-01", "2024-03").success
    record = Records(notes.instance).latest("raw", "2024-02")
    assert (record.content, record.value("reason")) == ("raw 2024-02", "the source does not have it")


def test_dagster_sees_no_period_as_stale_because_another_was_made(notes):
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    assert notes.run("2024-01", "2024-03", "raw", "clean").success
    assert notes.run("2024-01", "2024-03").success
    graph = dg.Definitions(notes.assets).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(notes.instance, graph, LoadingContextForTest(notes.instance))
    assert {resolver.get_status(dg.AssetKey("clean"), period).name for period in notes.periods()} == {"FRESH"}
