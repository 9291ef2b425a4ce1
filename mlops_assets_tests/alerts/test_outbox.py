"""The outbox: nothing is lost, nothing goes out twice, whoever dies at whatever point."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mlops_assets
from mlops_assets.alerts.alert import Alert, Fact, Link
from mlops_assets.alerts.outbox import LEASE, Outbox
from mlops_assets.errors import StorageError
from mlops_assets.resources.databases.database import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ANN, BOB = "ann@example.com", "bob@example.com"


def alert(number=1, at=NOW):
    return Alert(
        key=f"run:{number}",
        kinds=("failure", "champion"),
        happened_at=at,
        title=f"run {number} failed",
        cause="the – source is gone",
        facts=(Fact("Took", "3 s"),),
        details=("one", "two"),
        command="do it",
        links=(Link("run", "http://x/runs/1"),),
    )


@pytest.fixture
def another(database_url):
    """A function that gives the outbox as another process opens it."""
    return lambda: Outbox(Database(database_url))


@pytest.fixture
def outbox(another):
    return another()


def claim(outbox, now=NOW, digest_from=5, most=20):
    return outbox.claim(now, digest_from=digest_from, most=most)


def test_an_alert_comes_out_as_it_went_in(outbox):
    assert outbox.add(alert(), [ANN], NOW) == 1
    (letter,) = claim(outbox)
    assert letter.alerts == (alert(),)
    assert (letter.recipient, letter.attempts, letter.uncertain) == (ANN, 0, False)


def test_an_alert_that_is_added_again_is_kept_once_for_each_recipient(outbox, another):
    assert outbox.add(alert(), [ANN], NOW) == 1
    assert another().add(alert(), [ANN, BOB], NOW) == 1
    assert outbox.counts() == {"waiting": 2}
    assert outbox.knows("run:1") and not outbox.knows("run:2")


def test_a_letter_that_was_sent_never_comes_again(outbox):
    outbox.add(alert(), [ANN], NOW)
    outbox.mark_sent(*claim(outbox), NOW)
    outbox.add(alert(), [ANN], NOW)
    assert claim(outbox, NOW + 10 * LEASE) == []
    assert outbox.counts() == {"sent": 1}


def test_a_letter_that_is_being_sent_is_not_given_to_another(outbox, another):
    outbox.add(alert(), [ANN], NOW)
    assert len(claim(outbox)) == 1
    assert claim(another(), NOW + LEASE / 2) == []


def test_many_who_claim_at_once_get_each_letter_once(outbox, another):
    for number in range(12):
        outbox.add(alert(number), [ANN, BOB], NOW)
    boxes = [another() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda box: claim(box, digest_from=100, most=100), boxes))
    got = [(one.recipient, told.key) for letters in claimed for one in letters for told in one.alerts]
    assert len(got) == len(set(got)) == 24


def test_two_processes_that_add_the_same_alerts_keep_each_once(outbox, database_url):
    script = f"""
from datetime import UTC, datetime
from mlops_assets.alerts.alert import Alert
from mlops_assets.alerts.outbox import Outbox
from mlops_assets.resources.databases.database import Database
now = datetime(2026, 3, 1, tzinfo=UTC)
box = Outbox(Database({database_url!r}))
alerts = [Alert(f"run:{{number}}", ("failure",), now, "title", "cause") for number in range(30)]
print(sum(box.add(alert, ["ann@example.com"], now) for alert in alerts))
"""
    command = [sys.executable, "-c", script]
    root = Path(mlops_assets.__file__).parents[1]
    workers = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sum(int(worker.communicate()[0]) for worker in workers) == 30
    assert outbox.counts() == {"waiting": 30}


def test_a_storm_becomes_one_digest_for_each_recipient(outbox):
    for number in range(5):
        outbox.add(alert(number, NOW + number * timedelta(seconds=1)), [ANN], NOW)
    outbox.add(alert(0), [BOB], NOW)
    letters = {letter.recipient: letter for letter in claim(outbox)}
    assert [told.key for told in letters[ANN].alerts] == [f"run:{number}" for number in range(5)]
    assert letters[ANN].is_digest and not letters[BOB].is_digest


def test_fewer_than_a_digest_are_letters_of_their_own(outbox):
    for number in range(4):
        outbox.add(alert(number), [ANN], NOW)
    assert [len(letter.alerts) for letter in claim(outbox)] == [1, 1, 1, 1]


def test_no_more_letters_are_claimed_than_asked_for_and_the_rest_stays_due(outbox):
    for number in range(4):
        outbox.add(alert(number), [ANN], NOW)
    assert len(claim(outbox, most=3)) == 3
    assert len(claim(outbox, most=3)) == 1


def test_what_could_not_be_sent_waits_twice_as_long_each_time_and_keeps_its_error(outbox, database_url):
    outbox.add(alert(), [ANN], NOW)
    now, waits = NOW, []
    for _ in range(8):
        (letter,) = claim(outbox, now)
        due = outbox.put_back([letter], "server is down", now)
        waits.append((due - now).total_seconds())
        assert claim(outbox, due - timedelta(seconds=1)) == []
        now = due
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    with Database(database_url).transaction() as connection:
        row = connection.exec_driver_sql("SELECT attempts, last_error FROM mail_outbox").one()
    assert row == (8, "server is down")


def test_letters_put_back_together_are_due_together_and_become_a_digest(outbox):
    outbox.add(alert(0), [ANN], NOW)
    due = outbox.put_back(claim(outbox), "down", NOW)
    for number in range(1, 5):
        outbox.add(alert(number), [ANN], due)
    (digest,) = claim(outbox, due)
    assert len(digest.alerts) == 5


def test_the_letter_of_a_process_that_died_comes_again_as_it_was(outbox):
    for number in range(5):
        outbox.add(alert(number), [ANN], NOW)
    (lost,) = claim(outbox)
    outbox.add(alert(9), [ANN], NOW)
    letters = claim(outbox, NOW + LEASE)
    assert letters[0] == replace(lost, uncertain=True)
    assert [told.key for told in letters[1].alerts] == ["run:9"]


def test_a_letter_that_may_have_been_sent_stays_the_same_letter(outbox):
    outbox.add(alert(0), [ANN], NOW)
    (letter,) = claim(outbox)
    due = outbox.keep(letter, "no answer", NOW)
    for number in range(1, 5):
        outbox.add(alert(number), [ANN], NOW)
    again, *_ = claim(outbox, due)
    assert (again.id, again.alerts, again.uncertain) == (letter.id, letter.alerts, True)
    outbox.put_back([again], "server is down", due)
    last, *_ = claim(outbox, due + DAY)
    assert last.id == letter.id


def test_a_letter_that_was_not_tried_is_due_at_once(outbox):
    outbox.add(alert(), [ANN], NOW)
    (letter,) = claim(outbox)
    outbox.release([letter], NOW)
    assert claim(outbox) == [letter]


def test_what_is_too_old_expires_and_the_next_letter_says_how_many(outbox):
    for number in range(2):
        outbox.add(alert(number, NOW - 2 * DAY), [ANN], NOW)
    outbox.add(alert(7), [ANN, BOB], NOW)
    assert outbox.expire(NOW, DAY) == 2
    letters = {letter.recipient: letter for letter in claim(outbox)}
    assert (len(letters[ANN].expired), len(letters[BOB].expired)) == (2, 0)
    assert [told.key for told in letters[ANN].alerts] == ["run:7"]
    assert outbox.counts() == {"expired": 2, "sending": 2}


def test_expired_alerts_are_told_once(outbox):
    outbox.add(alert(0, NOW - 2 * DAY), [ANN], NOW)
    outbox.expire(NOW, DAY)
    assert claim(outbox) == []
    outbox.add(alert(1), [ANN], NOW)
    (letter,) = claim(outbox)
    due = outbox.put_back([letter], "down", NOW)
    (letter,) = claim(outbox, due)
    assert len(letter.expired) == 1
    outbox.mark_sent(letter, due)
    outbox.add(alert(2), [ANN], due)
    assert claim(outbox, due)[0].expired == ()


def test_what_was_sent_or_given_up_long_ago_is_forgotten_and_nothing_else(outbox):
    for number, age in enumerate((9, 1)):
        outbox.add(alert(number, NOW - age * DAY), [ANN], NOW)
    for letter in claim(outbox):
        outbox.mark_sent(letter, NOW)
    outbox.add(alert(2, NOW - 8 * DAY), [ANN], NOW)
    outbox.expire(NOW, 8 * DAY - LEASE)
    outbox.add(alert(3, NOW - 8 * DAY), [ANN], NOW)
    outbox.forget(NOW - 7 * DAY)
    assert outbox.counts() == {"sent": 1, "waiting": 1}


def test_a_letter_in_flight_does_not_expire(outbox):
    outbox.add(alert(0, NOW - DAY), [ANN], NOW)
    (letter,) = claim(outbox)
    assert outbox.expire(NOW + timedelta(seconds=1), DAY) == 0
    outbox.mark_sent(letter, NOW)
    assert outbox.counts() == {"sent": 1}


def test_an_outbox_that_cannot_be_used_is_told_in_one_line(tmp_path):
    (tmp_path / "mlops.db").write_text("this is no database, and long enough to be seen as none " * 20)
    with pytest.raises(StorageError, match="mlops.db is damaged: restore a backup") as error:
        Outbox(Database(f"sqlite:///{tmp_path / 'mlops.db'}")).counts()
    assert error.value.__suppress_context__
