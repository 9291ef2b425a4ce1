"""Mail to a server that is down, refuses, or may have taken it: none is lost, none goes out twice."""

import logging
import time

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState

from mlops_assets.alerts.channels import open_channels
from mlops_assets.alerts.outbox import LEASE, Outbox
from mlops_assets.alerts.sensor import Collector, first_position, flush
from mlops_assets_tests.alerts.mailroom import (
    ANN,
    BOB,
    DAY,
    MINUTE,
    Office,
    crashes,
    freshness,
    hyperparameters,
    open_project,
    subjects,
)


def test_mail_waits_while_the_server_is_down_and_then_goes_out_once(office, smtp_server):
    smtp_server.stop()
    office.materialize(crashes)
    office.tick()
    assert "cannot be reached (Connection refused)" in office.told and "next try" in office.told
    office.materialize(hyperparameters, "Ridge", {"message": "no luck"})
    office.tick()
    assert office.counts() == {"waiting": 2}
    smtp_server.start()
    for _ in range(5):
        office.tick()
    assert sorted(subjects(smtp_server)) == [
        "[mlops tiny] crashes failed",
        "[mlops tiny] hyperparameters[Ridge] failed",
    ]
    assert office.counts() == {"sent": 2}


def test_a_storm_while_the_server_is_down_is_one_digest_when_it_is_up(office, smtp_server):
    smtp_server.stop()
    for _ in range(6):
        office.materialize(crashes)
    office.tick()
    smtp_server.start()
    office.tick()
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] 6 messages (failure 6)"]
    assert smtp_server.received[0].text.count("the last line counts") == 6


def test_what_grew_too_old_is_given_up_and_counted_in_the_next_mail(office, smtp_server):
    smtp_server.stop()
    office.materialize(crashes)
    office.tick()
    smtp_server.start()
    office.tick(after=25 * DAY)
    assert (office.told, office.counts()) == ("0 new; 0 sent; 1 too old to be sent", {"expired": 1})
    freshness(office, FreshnessState.WARN)
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] champion_model will soon be stale"]
    assert "1 older message was not sent" in smtp_server.received[0].text


def test_mail_that_may_have_arrived_is_sent_again_as_the_very_same(office, smtp_server):
    smtp_server.answer = None
    office.materialize(crashes)
    office.tick()
    assert "did not confirm" in office.told
    smtp_server.answer = "250 OK"
    office.tick()
    first, again = smtp_server.received
    assert first.message["Message-ID"] == again.message["Message-ID"]
    assert office.counts() == {"sent": 1}


def test_mail_of_a_tick_that_died_is_sent_by_a_later_one(office, smtp_server):
    office.materialize(crashes)
    smtp_server.stop()
    office.tick()
    outbox = Outbox(office.project.database)
    assert outbox.claim(office.now + MINUTE, digest_from=5, most=9)  # and nothing more
    smtp_server.start()
    office.tick(after=2 * MINUTE)
    assert not smtp_server.received
    office.tick(after=LEASE)
    assert len(smtp_server.received) == 1


def test_a_refused_recipient_does_not_keep_mail_from_the_others(make_office, smtp_server):
    office = make_office(MAIL_TO=f"{ANN}, {BOB}")
    smtp_server.refused[ANN] = "550 no such user"
    office.materialize(crashes)
    office.tick()
    assert [got.to for got in smtp_server.received] == [(BOB,)]
    assert "refuses the recipient ann@example.com: 550 no such user" in office.told
    assert office.counts() == {"sent": 1, "waiting": 1}


@pytest.mark.parametrize("password", ["swordfish-41", "hunter2-wrong"])
def test_the_password_appears_nowhere(make_smtp_server, tmp_path, tiny, caplog, capfd, password):
    caplog.set_level(logging.DEBUG)
    server = make_smtp_server(login=True)
    project = open_project(tmp_path, tiny, server.port, {"SMTP_USER": "ops", "SMTP_PASSWORD": password})
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as instance:  # on disk
        office = Office(instance, project)
        office.materialize(crashes)
        office.tick()
    assert len(server.received) == (password == server.password)
    shown = [office.told, office.cursor, repr(office.project), caplog.text, *capfd.readouterr()]
    shown += [got.message.as_string() + got.text + got.html for got in server.received]
    assert not any(password in text for text in shown)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "mlops.db" for path in files)
    assert not any(password.encode() in path.read_bytes() for path in files)


def test_a_tick_without_time_left_loses_nothing(office, instance, smtp_server):
    outbox, position = Outbox(office.project.database), first_position(instance)
    office.materialize(crashes)
    channels = open_channels(office.project.settings, "tiny")
    collector = Collector(instance, office.project, channels, outbox, office.now)
    assert collector.collect(position, [], until=0) == position
    collector.collect(position, [], until=time.monotonic() + 60)
    assert flush(outbox, channels, office.project, office.now, until=0) == "0 sent"
    assert (collector.added, outbox.counts(), smtp_server.received) == (1, {"waiting": 1}, [])
