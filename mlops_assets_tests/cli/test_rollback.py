"""`rollback`, `approve` and `history`."""

from datetime import UTC, datetime

import pytest

from mlops_assets_tests.homes import copy_home


@pytest.fixture(scope="module")
def lab(copy_shop):
    """A shop whose candidate, version 1, was given the alias by hand after version 2 had won it."""
    shop = copy_shop()
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


@pytest.fixture(scope="module")
def proposing(new_shop):
    """A shop in which a person has the last word, after its first run."""
    shop = new_shop(MLOPS_PROMOTION="propose")
    answer = shop.command("run")
    assert answer.code == 1, answer  # predictions wait
    assert "version 2 waits for approval (mlops-assets approve 2 --why ...)" in " ".join(answer.out.split())
    return shop


def test_where_a_person_decides_the_gate_proposes_and_promotes_nothing(proposing):
    record, registry = proposing.record("champion_model"), proposing.project().registry
    assert record.value("decision") == "proposed"
    assert record.value("verdict").startswith("Proposed: there is no champion yet, and RMSE ")
    assert record.value("verdict").endswith("Version 2 waits for a person.")
    assert registry.proposed().number == record.value("proposed_version") == 2
    assert registry.champion() is None and record.value("champion_version") == 0


def test_only_the_proposed_version_is_approved_and_a_reason_is_asked_for(proposing):
    wrong = proposing.command("approve", "1", "--why", "I like it")
    assert (wrong.code, wrong.err) == (2, "mlops-assets: version 1 of 'shop' is not proposed: version 2 is\n")
    silent = proposing.command("approve", "2", "--why", " ")
    assert (silent.code, silent.err) == (2, "mlops-assets: --why must say why: it is kept in the history\n")


def test_approved_it_is_champion_with_who_and_why_in_the_history(proposing, tmp_path):
    proposing = copy_home(proposing, tmp_path / "home")
    answer = proposing.command("approve", "2", "--why", "checked on June", "--by", "ann")
    assert (answer.code, answer.out) == (0, "Champion: version 2 (Ridge), approved by ann.\n")
    registry = proposing.project().registry
    assert registry.champion().number == 2 and registry.proposed() is None
    assert registry.history()[0].reason.endswith("Approved by ann: checked on June")
    record = proposing.record("champion_model")
    assert (record.value("decision"), record.value("champion_version")) == ("approved", 2)
    assert record.value("verdict") == "Version 2 approved by ann: checked on June"
    assert proposing.command("run").code == 0
    assert proposing.record("predictions", "2024-03").value("model_version") == 2


def test_a_history_that_was_altered_is_told_apart_from_one_that_was_not(lab, answer):
    whole = lab.command("history", "--verify")
    assert (whole.code, whole.out) == (0, "3 change(s) of champion are as they were written.\n")
    registry = lab.project().registry
    key = next(key for key in registry.version(1).tags if key.startswith("promoted/"))
    reason = registry.version(1).tags[key]
    registry.tag(1, {key: "Promoted: it was always good."})
    altered = lab.command("history", "--verify")
    assert altered.code == 2 and "the history is not as it was written: version 1 at " in altered.err
    registry.tag(1, {key: reason})
    assert lab.command("history", "--verify").code == 0
