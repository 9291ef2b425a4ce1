"""Arithmetic of periods."""

from datetime import datetime

from mlops_assets.dataset.periods import period_end, period_start, periods_between


def test_periods_run_over_the_end_of_a_year():
    assert periods_between("2023-11", "2024-02") == ["2023-11", "2023-12", "2024-01", "2024-02"]


def test_there_are_no_periods_between_a_later_and_an_earlier_one():
    assert periods_between("2024-02", "2024-01") == []


def test_a_period_ends_where_the_next_one_starts():
    assert period_start("2024-12") == datetime(2024, 12, 1)
    assert period_end("2024-12") == datetime(2025, 1, 1) == period_start("2025-01")
    assert period_end("2024-01") == datetime(2024, 2, 1)
