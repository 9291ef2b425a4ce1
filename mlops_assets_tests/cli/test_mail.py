"""`mail test` and the mail check of `doctor`, against a real mail server."""

import json

import pytest

from mlops_assets.cli.doctor import _mail
from mlops_assets.cli.mail import send_test
from mlops_assets.errors import DeliveryError, SettingsError
from mlops_assets.project import open_project


@pytest.fixture
def server(make_smtp_server, monkeypatch, tmp_path):
    server = make_smtp_server(login=True)
    given = {"HOME": str(tmp_path), "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_SECURITY": "plain"}
    given |= {"SMTP_USER": server.user, "SMTP_PASSWORD": server.password}
    given |= {"MAIL_TO": "ann@example.com", "MAIL_TO_CHAMPION": "bob@example.com"}
    for name, value in given.items():
        monkeypatch.setenv(f"MLOPS_{name}", value)
    return server


def test_a_test_mail_tells_each_recipient_what_they_hear_of(server, capsys):
    send_test()
    told = {got.to[0]: got.text for got in server.received}
    assert "You hear of: failure, drift, freshness" in told["ann@example.com"]
    assert "You hear of: champion" in told["bob@example.com"]
    assert "sent to bob@example.com (champion)" in capsys.readouterr().out


def test_who_got_a_test_mail_is_told_as_json_too(server, capsys):
    send_test(as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"recipient": "ann@example.com", "hears_of": ["failure", "drift", "freshness"]},
        {"recipient": "bob@example.com", "hears_of": ["champion"]},
    ]


def test_a_test_mail_without_recipients_is_an_error(server, monkeypatch):
    monkeypatch.setenv("MLOPS_MAIL_TO", "")
    monkeypatch.setenv("MLOPS_MAIL_TO_CHAMPION", "")
    with pytest.raises(SettingsError, match="set MLOPS_MAIL_TO"):
        send_test()


def test_where_nobody_can_be_told_the_settings_are_named(server, monkeypatch):
    monkeypatch.setenv("MLOPS_SMTP_HOST", "")
    with pytest.raises(SettingsError, match="set MLOPS_SMTP_HOST and MLOPS_MAIL_TO, or MLOPS_WEBHOOKS"):
        send_test()


def test_doctor_logs_in_and_sends_nothing(server):
    assert _mail(open_project()) == f"127.0.0.1:{server.port}, plain, logged in as ops; 2 recipient(s)"
    assert not server.received


def test_doctor_tells_a_wrong_password(server, monkeypatch):
    monkeypatch.setenv("MLOPS_SMTP_PASSWORD", "hunter2")
    with pytest.raises(DeliveryError, match="refuses the login of ops"):
        _mail(open_project())


def test_doctor_is_content_without_mail(server, monkeypatch):
    monkeypatch.setenv("MLOPS_SMTP_HOST", "")
    assert _mail(open_project()) == "not set up (MLOPS_SMTP_HOST)"
