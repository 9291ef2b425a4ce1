"""Mail against a real SMTP server: every kind of line, every kind of refusal, and the password nowhere."""

import socket
from threading import Thread

import pytest

from mlops_assets.alerts.smtp import Mail, Mailer
from mlops_assets.errors import DeliveryError, DeliveryRefused, DeliveryUnconfirmed, SettingsError
from mlops_assets.settings import read_settings

MAIL = Mail("ann@example.com", "Grüße", "plain – text\n", "<p>rich – text</p>", key="run:1")


def settings(port, **changes):
    given = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "plain", "SMTP_TIMEOUT": "10"}
    given |= {"MAIL_SENDER": "mlops@example.com"}
    return read_settings({f"MLOPS_{name}": value for name, value in (given | changes).items()})


def login(server, password=None):
    return {"SMTP_USER": server.user, "SMTP_PASSWORD": password or server.password}


@pytest.fixture
def trusted(certificate, monkeypatch):
    """The test server's certificate is its own authority, which this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("security", ["plain", "starttls", "ssl"])
def test_mail_arrives_after_login_over_every_kind_of_line(make_smtp_server, trusted, security):
    server = make_smtp_server(security, login=True)
    Mailer(settings(server.port, SMTP_SECURITY=security, **login(server))).send(MAIL)
    (got,) = server.received
    assert (got.encrypted, got.logged_in) == (security != "plain", True)
    assert got.to == ("ann@example.com",)


def test_a_mail_has_text_and_html_and_is_marked_as_sent_by_a_machine(smtp_server):
    Mailer(settings(smtp_server.port)).send(MAIL)
    (got,) = smtp_server.received
    assert (got.text.strip(), got.html.strip()) == (MAIL.text.strip(), MAIL.html)
    assert got.message.get_content_type() == "multipart/alternative"
    assert got.message["Subject"] == "Grüße"
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert got.message["From"] == "mlops@example.com"
    assert all(part["Content-Transfer-Encoding"] in ("quoted-printable", "base64") for part in got.message.iter_parts())


def test_the_same_mail_sent_again_is_recognisable(smtp_server):
    mailer = Mailer(settings(smtp_server.port))
    mailer.send(MAIL)
    mailer.send(MAIL)
    mailer.send(Mail("ann@example.com", "Other", "a", "b", key="run:2"))
    first, again, other = (got.message["Message-ID"] for got in smtp_server.received)
    assert first == again != other
    assert first.endswith("@example.com>")


def test_a_wrong_password_is_told_without_the_password(make_smtp_server):
    server = make_smtp_server(login=True)
    with pytest.raises(DeliveryError, match=r"refuses the login of ops \(535\): check MLOPS_SMTP_USER") as error:
        Mailer(settings(server.port, **login(server, "hunter2"))).send(MAIL)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__
    assert not server.received


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_self_signed_certificate_is_refused_before_the_password_is_sent(make_smtp_server, security):
    server = make_smtp_server(security, login=True)
    with pytest.raises(DeliveryError, match="certificate that is not trusted .*self.signed.*SSL_CERT_FILE"):
        Mailer(settings(server.port, SMTP_SECURITY=security, **login(server))).send(MAIL)
    assert not server.received


def test_a_certificate_of_another_host_is_refused(make_smtp_server, trusted):
    server = make_smtp_server("ssl")
    with pytest.raises(DeliveryError, match="certificate that is not trusted .*MLOPS_SMTP_HOST"):
        Mailer(settings(server.port, SMTP_SECURITY="ssl", SMTP_HOST="localhost")).send(MAIL)


def test_a_server_without_starttls_is_never_given_the_mail_in_the_clear(smtp_server):
    with pytest.raises(DeliveryError, match="does not offer STARTTLS: set MLOPS_SMTP_SECURITY"):
        Mailer(settings(smtp_server.port, SMTP_SECURITY="starttls")).send(MAIL)
    assert not smtp_server.received


def test_a_server_that_takes_no_login_is_told(smtp_server):
    with pytest.raises(DeliveryError, match="takes no login: unset MLOPS_SMTP_USER"):
        Mailer(settings(smtp_server.port, **login(smtp_server))).send(MAIL)


def test_tls_at_a_plain_port_is_told(smtp_server):
    with pytest.raises(DeliveryError, match="does not speak TLS at this port"):
        Mailer(settings(smtp_server.port, SMTP_SECURITY="ssl")).send(MAIL)


def test_a_server_that_is_down_is_told(smtp_server):
    smtp_server.stop()
    with pytest.raises(DeliveryError, match=r"cannot be reached \(Connection refused\): check MLOPS_SMTP_HOST"):
        Mailer(settings(smtp_server.port)).send(MAIL)


@pytest.mark.parametrize("host", ["nowhere.invalid", "two..dots"])
def test_a_host_that_does_not_exist_is_told(host):
    with pytest.raises(DeliveryError, match=f"{host}:25 cannot be reached"):
        Mailer(settings(25, SMTP_HOST=host)).send(MAIL)


def test_a_server_that_says_nothing_is_given_up_in_time(silent_port):
    with pytest.raises(DeliveryError, match="did not answer within 0.2 s"):
        Mailer(settings(silent_port)).send(MAIL, seconds=0.2)


def test_a_server_that_falls_silent_in_the_middle_is_given_up_in_time():
    def greet(connection):
        with connection, connection.makefile("rwb", buffering=0) as line:
            line.write(b"220 hello\r\n")
            line.read()  # until the other side leaves

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=lambda: greet(server.accept()[0]), daemon=True).start()
        with pytest.raises(DeliveryError, match="did not answer within 0.3 s"):
            Mailer(settings(server.getsockname()[1])).send(MAIL, seconds=0.3)


def test_a_refused_recipient_concerns_this_mail_alone(smtp_server):
    smtp_server.refused["ann@example.com"] = "550 no such user"
    mailer = Mailer(settings(smtp_server.port))
    with pytest.raises(DeliveryRefused, match="refuses the recipient ann@example.com: 550 no such user"):
        mailer.send(MAIL)
    mailer.send(Mail("bob@example.com", "s", "t", "h", "k"))
    assert [got.to for got in smtp_server.received] == [("bob@example.com",)]


def test_a_refused_mail_concerns_this_mail_alone(smtp_server):
    smtp_server.answer = "554 looks like spam"
    with pytest.raises(DeliveryRefused, match="refuses the mail to ann@example.com: 554 looks like spam"):
        Mailer(settings(smtp_server.port)).send(MAIL)


def test_a_line_that_breaks_before_the_confirmation_leaves_the_outcome_open(smtp_server):
    smtp_server.answer = None
    with pytest.raises(DeliveryUnconfirmed, match="did not confirm the mail to ann@example.com: it may be sent"):
        Mailer(settings(smtp_server.port)).send(MAIL)
    assert len(smtp_server.received) == 1


def test_a_check_logs_in_and_sends_nothing(make_smtp_server, trusted):
    server = make_smtp_server("starttls", login=True)
    told = Mailer(settings(server.port, SMTP_SECURITY="starttls", **login(server))).check()
    assert told == f"127.0.0.1:{server.port}, starttls, logged in as ops"
    assert not server.received


def test_a_mailer_needs_a_server_and_a_whole_login():
    with pytest.raises(DeliveryError, match="set MLOPS_SMTP_HOST"):
        Mailer(read_settings({}))
    with pytest.raises(DeliveryError, match="MLOPS_SMTP_USER is set without MLOPS_SMTP_PASSWORD"):
        Mailer(settings(25, SMTP_USER="ops"))


def test_the_password_is_not_in_the_settings_as_shown():
    given = settings(25, SMTP_USER="ops", SMTP_PASSWORD="hunter2")
    assert "hunter2" not in f"{given} {given!r} {given.model_dump_json()} {vars(Mailer(given))}"


@pytest.mark.parametrize("wrong", ["ann", "ann@", "@x", "a@b@c", "Ann <ann@example.com>", "ann @example.com", "ä@b.de"])
@pytest.mark.parametrize("name", ["MAIL_TO", "MAIL_TO_FAILURE", "MAIL_SENDER"])
def test_an_address_that_is_none_is_told_by_setting_and_place(name, wrong):
    value = wrong if name == "MAIL_SENDER" else f"ops@example.com, {wrong}"
    with pytest.raises(SettingsError, match=f"MLOPS_{name}=.*: entry [12] is not an address such as name@example.com"):
        read_settings({f"MLOPS_{name}": value})
