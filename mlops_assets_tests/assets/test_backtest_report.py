"""The asset `backtest_report` as the UI makes it, from its own job."""

import pytest

from mlops_assets.assets.registry import ENTRIES
from mlops_assets.definitions import build_definitions
from mlops_assets_tests.assets.conftest import QUIET, failure_of

CONFIG = {"policies": ["never", "window-1"], "start": 2}


@pytest.fixture(scope="module")
def cleaned(new_workshop):
    return new_workshop().make_up_to("clean_data")


def backtest(workshop, **config):
    job = build_definitions(workshop.project).resolve_job_def("backtest")
    run_config = QUIET | {"ops": {"backtest_report": {"config": CONFIG | config}}}
    return job.execute_in_process(instance=workshop.instance, run_config=run_config, raise_on_error=False)


def test_it_is_made_from_clean_periods_alone_and_is_no_part_of_a_run(cleaned):
    assert backtest(cleaned).success
    record = cleaned.record("backtest_report")
    assert record.value("model_type") == "Ridge"
    assert [(row["policy"], row["period"]) for row in record.value("backtest_rows")] == [
        ("never", "2024-03"),
        ("window-1", "2024-03"),
    ]
    assert "| never | one fit on the first periods |" in record.value("policies")
    assert "backtest_report" not in {entry.name for entry in ENTRIES}


def test_equal_periods_and_settings_are_not_walked_over_twice(cleaned):
    assert backtest(cleaned).success and backtest(cleaned).success
    assert cleaned.record("backtest_report").value("recomputed") is False
    assert backtest(cleaned, policies=["never"]).success
    assert "lost" in cleaned.record("backtest_report").value("reason")


def test_a_model_type_that_is_not_listed_is_named(cleaned):
    assert failure_of(backtest(cleaned, model_type="Lasso")) == "'Lasso' is not among MLOPS_MODEL_TYPES (Ridge)"


def test_without_periods_it_says_what_to_do(new_workshop):
    told = failure_of(backtest(new_workshop()))
    assert told.startswith("0 period(s) are not enough") and "mlops-assets run" in told
