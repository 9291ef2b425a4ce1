"""Arithmetic of months."""

from datetime import datetime

from mlops_assets.dataset.periods import month_end, month_start, months_between


def test_months_run_over_the_end_of_a_year():
    assert months_between("2023-11", "2024-02") == ["2023-11", "2023-12", "2024-01", "2024-02"]


def test_there_are_no_months_between_a_later_and_an_earlier_one():
    assert months_between("2024-02", "2024-01") == []


def test_a_month_ends_where_the_next_one_starts():
    assert month_start("2024-12") == datetime(2024, 12, 1)
    assert month_end("2024-12") == datetime(2025, 1, 1) == month_start("2025-01")
    assert month_end("2024-01") == datetime(2024, 2, 1)
