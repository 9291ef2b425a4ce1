"""The command `backtest` on the shop: it prepares periods, prints the table, and goes on where it was stopped."""

import json

import pytest

from mlops_assets_tests.homes import write_period

WORDS = ("backtest", "--policy", "never", "--policy", "window-3", "--start", "2")


@pytest.fixture(scope="module")
def home(new_shop):
    """A shop of five periods in which nothing was made yet."""
    home = new_shop()
    for period in ("2024-04", "2024-05"):
        write_period(home.folder / "sales", period)
    return home


@pytest.fixture(scope="module")
def answer(home):
    return home.command(*WORDS)


@pytest.fixture(scope="module")
def record(home, answer):
    """Of the first backtest."""
    assert answer.code == 0, answer
    return home.record("backtest_report")


def test_policies_are_walked_over_the_periods_and_told_in_a_table(answer, record):
    assert "Backtest of Ridge, 2024-03 to 2024-05: RMSE (euros)" in answer.out
    assert "6 of 6: window-3, 2024-05: RMSE" in answer.out
    assert record.value("best_policy") in ("never", "window-3")
    rows = record.value("backtest_rows")
    assert [row["period"] for row in rows if row["policy"] == "never"] == ["2024-03", "2024-04", "2024-05"]
    assert [row["periods_learnt"] for row in rows if row["policy"] == "window-3"] == [2, 3, 3]
    assert "data:image/svg+xml" in record.value("backtest_plot")


def test_the_result_is_kept_as_a_table_too(home, answer):
    record = home.record("backtest_report")
    kept = home.project().storage.read_table(record.path).to_pylist()
    assert kept == record.value("backtest_rows")


def test_only_periods_were_made_for_it(home, record):
    assert home.records("clean_data").keys() == {f"2024-0{number}" for number in range(1, 6)}
    assert home.record("training_set") is None and home.record("champion_model") is None


def test_a_second_time_nothing_is_computed(home, record):
    assert home.command(*WORDS).code == 0
    again = home.command(*WORDS)
    assert again.code == 0
    assert "Nothing has changed since the last backtest" in again.out


def test_programs_are_answered_in_json_and_the_progress_goes_to_standard_error(home, answer):
    again = home.command(*WORDS, "--json")
    told, record = json.loads(again.out), home.record("backtest_report")
    assert (told["model_type"], told["metric"], told["unit"]) == ("Ridge", "rmse", "euros")
    assert told["periods"] == ["2024-03", "2024-04", "2024-05"]
    assert told["policies"][0]["policy"] == record.value("best_policy")
    assert told["policies"][0]["loss"] == record.value("best_rmse")
    assert "backtest" in again.err


def test_another_policy_uses_what_is_written_down(home, record):
    journal = next((home.project().home / "backtests").rglob("journal.jsonl"))
    before = journal.read_text()
    assert home.command(*WORDS, "--policy", "window-12").code == 0
    assert journal.read_text().startswith(before)
    assert len(home.record("backtest_report").value("backtest_rows")) == 9


def test_a_period_that_changed_is_walked_over_anew(home, record):
    write_period(home.folder / "sales", "2024-04", rows=250)
    assert home.command(*WORDS).code == 0
    record = home.record("backtest_report")
    assert "data: 2024-04 changed" in record.value("reason")
    assert [row["rows"] for row in record.value("backtest_rows") if row["period"] == "2024-04"] == [250, 250]


def test_a_policy_that_is_none_is_one_line(home):
    answer = home.command("backtest", "--policy", "weekly")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "mlops-assets: weekly is no policy (policies: never, window-1, window-3, window-6, window-12, drift, gate)\n"
    )


def test_too_few_periods_are_one_line(home):
    answer = home.command("backtest", "--start", "5")
    assert answer.code == 2
    assert answer.err.startswith("mlops-assets: 5 period(s) are not enough for a backtest that begins with 5")
