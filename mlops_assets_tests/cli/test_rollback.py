"""`rollback` and `history`."""

from datetime import UTC, datetime

import pytest


@pytest.fixture(scope="module")
def lab(new_shop):
    """A shop whose candidate, version 1, was given the alias by hand after version 2 had won it."""
    shop = new_shop()
    assert shop.command("run").code == 0
    shop.project().registry.promote(1, reason="Promoted: for a test.", at=datetime.now(UTC))
    return shop


@pytest.fixture(scope="module")
def answer(lab):
    return lab.command("rollback")


def test_the_alias_goes_back_to_the_champion_before(lab, answer):
    assert answer.code == 0
    assert answer.out == "Champion: version 2 (Ridge) again, instead of version 1.\n"
    assert lab.project().registry.champion().number == 2


def test_dagster_knows_of_it(lab, answer):
    record = lab.record("champion_model")
    assert record.value("champion_version") == 2
    assert record.value("verdict") == "Rolled back by hand from version 1 to version 2."
    shown = lab.command("run")
    assert "Rolled back by hand from version 1 to version 2." in shown.out
    assert "Champion: version 2, Ridge." in shown.out


def test_history_tells_who_reigned_and_why_newest_first(lab, answer):
    told = lab.command("history")
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.out.splitlines() if line.startswith("│")]
    assert [(version, until == "now") for version, _, _, until, _ in lines] == [("2", True), ("1", False), ("2", False)]
    assert lines[0][-1] == "Rolled back from version 1."
    assert lines[1][-1] == "Promoted: for a test."
    assert lines[2][-1].startswith("Promoted: there is no champion yet")


def test_before_the_first_champion_there_is_nothing_to_go_back_to(lab, answer):
    again = lab.command("rollback")
    assert again.code == 2
    assert again.err == "mlops-assets: version 2 is the first champion: there is none before it\n"


def test_without_a_champion_it_is_said_and_history_is_empty(new_shop):
    shop = new_shop()
    told = shop.command("rollback")
    assert told.code == 2 and "'shop' has no champion, so there is nothing to roll back" in told.err
    assert shop.command("history").code == 0
