"""Schedules, sensors and freshness: what has ticked, what comes next, what grows stale."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest

from mlops_assets.dashboards.catalogue import Automation, Catalogue
from mlops_assets.dashboards.sources.assets import MATERIALISATIONS
from mlops_assets.dashboards.sources.automation import automation_sources, next_tick
from mlops_assets.dashboards.sources.source import Reading, as_frame

NOW = datetime.now(UTC)


def test_a_schedule_ticks_by_its_cron_in_its_time_zone():
    daily = Automation("daily", cron="0 3 * * *", timezone="Europe/Berlin")
    after_three = datetime(2024, 1, 1, 3, tzinfo=UTC)
    assert next_tick(daily, None, after_three).astimezone(UTC) == datetime(2024, 1, 2, 2, tzinfo=UTC)


def test_a_sensor_ticks_some_seconds_after_it_last_did():
    sensor = Automation("sensor", seconds=60)
    assert next_tick(sensor, NOW - timedelta(seconds=10), NOW) == NOW + timedelta(seconds=50)
    assert next_tick(sensor, NOW - timedelta(days=1), NOW) == NOW
    assert next_tick(sensor, None, NOW) is None


def redact(text):
    return text.replace("real_name", "${NAME}")


@pytest.fixture
def sources(tmp_path):
    """A function that gives the sources of a sensor with these ticks, and of assets made so many days ago."""

    def make(ticks=(), days=0.0):
        instance = dg.DagsterInstance.local_temp(str(tmp_path))  # one in memory keeps no ticks
        _tick_all(instance, ticks)
        made = as_frame(
            [{"id": "1", "asset": "champion_model", "time": NOW - timedelta(days=days)}], MATERIALISATIONS.columns
        )
        sensor = Automation("new_data", seconds=60)
        catalogue = Catalogue(automations=(sensor,), fresh_days={"champion_model": (31, 35)})
        found = automation_sources(instance, catalogue, lambda: Reading(made), redact)
        return {source.name: source for source in found}

    return make


def test_the_last_tick_tells_what_came_of_it(sources):
    skipped = (NOW - timedelta(minutes=5), "SKIPPED", "nothing new")
    launched = (NOW - timedelta(minutes=1), "SUCCESS", None)
    found = sources([skipped, launched])
    assert list(found["ticks"].read().frame["outcome"]) == ["skipped", "launched"]
    (state,) = found["automation"].read().frame.itertuples()
    assert (state.status, state.last_outcome, state.every) == ("on", "launched", "60 s")


def test_why_a_tick_skipped_is_told_without_hidden_names(sources):
    found = sources([(NOW, "SKIPPED", "table real_name is gone")])
    assert list(found["ticks"].read().frame["reason"]) == ["table ${NAME} is gone"]


def test_a_sensor_that_never_ticked_is_there(sources):
    (state,) = sources()["automation"].read().frame.itertuples()
    assert state.status == "never started"
    assert state.last_tick is pd.NaT


@pytest.mark.parametrize(("days", "state"), [(1, "fresh"), (32, "stale soon"), (36, "stale")])
def test_an_asset_grows_stale(sources, days, state):
    (row,) = sources(days=days)["freshness"].read().frame.itertuples()
    assert row.state == state
    assert row.days_left == pytest.approx(35 - days, abs=0.2)


def _tick_all(instance, ticks):
    """A sensor that is on, and its ticks, as the daemon writes them down."""
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import (
        InstigatorState,
        InstigatorStatus,
        SensorInstigatorData,
        TickData,
        TickStatus,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    if not ticks:
        return
    place = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="mlops"), "mlops")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "__repository__"), "new_data")
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData())
    instance.add_instigator_state(state)
    for at, status, reason in ticks:
        instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name="new_data",
                instigator_type=InstigatorType.SENSOR,
                status=TickStatus(status),
                timestamp=at.timestamp(),
                end_timestamp=at.timestamp() + 1,
                run_ids=["run"] if status == "SUCCESS" else None,
                skip_reason=reason,
                selector_id=state.selector_id,
            )
        )
