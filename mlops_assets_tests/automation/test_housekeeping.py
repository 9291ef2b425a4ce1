"""The job that cleans up, and its schedule."""

import dagster as dg
import pytest

from mlops_assets.definitions import build_definitions
from mlops_assets.errors import SettingsError
from mlops_assets_tests.homes import Home

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def schedules(home, **settings):
    definitions = build_definitions(home.project(**settings))
    return {schedule.name: schedule for schedule in definitions.schedules}


def test_cleaning_is_scheduled_where_the_settings_say_so(tmp_path):
    home = Home(tmp_path)
    assert schedules(home)["clean_by_schedule"].default_status == dg.DefaultScheduleStatus.STOPPED
    schedule = schedules(home, MLOPS_CLEAN_SCHEDULE="weekly", MLOPS_TIMEZONE="Europe/Berlin")["clean_by_schedule"]
    assert (schedule.job_name, schedule.execution_timezone) == ("clean_up", "Europe/Berlin")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    with pytest.raises(SettingsError, match="MLOPS_CLEAN_SCHEDULE"):
        schedules(home, MLOPS_CLEAN_SCHEDULE="sometimes")


@pytest.mark.slow
def test_the_job_removes_what_is_old_and_says_how_much(new_shop):
    shop = new_shop(MLOPS_KEEP_RUNS_DAYS="0.00000001")
    assert shop.command("run").code == 0
    definitions = build_definitions(shop.project())
    with shop.instance() as instance:
        jobs = ("build_training_set", "build_training_set", "clean_up")
        again, newest, cleaned = (
            definitions.resolve_job_def(job).execute_in_process(instance=instance, run_config=QUIET) for job in jobs
        )
        assert cleaned.success
        assert instance.get_run_by_id(again.run_id) is None and instance.get_run_by_id(newest.run_id)
    assert shop.record("training_set").run_id == newest.run_id
    assert "Nothing to do" in shop.command("run").out
