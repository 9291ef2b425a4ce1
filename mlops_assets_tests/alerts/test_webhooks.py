"""Messages to webhooks, taken by a real server: none is lost or told twice, and no address is told."""

import json
import logging
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from mlops_assets.alerts.channels import open_channels
from mlops_assets.alerts.examples import example_letters
from mlops_assets.alerts.outbox import Outbox
from mlops_assets.alerts.webhooks import PAYLOADS, Webhook
from mlops_assets.errors import DeliveryError, DeliveryRefused, DeliveryUnconfirmed, SettingsError
from mlops_assets.settings import read_settings
from mlops_assets_tests.alerts.mailroom import (
    PROMOTED,
    Office,
    champion,
    champion_model,
    crashes,
    open_project,
    subjects,
)
from mlops_assets_tests.servers import free_port

SECRET = "T0123/B4567/s3same"


@pytest.fixture
def make_chat(instance, tmp_path, tiny, smtp_server):
    """A function that gives the sensor of a project with these webhooks."""
    return lambda **hooks: Office(instance, open_project(tmp_path, tiny, smtp_server.port, {"MAIL_TO": ""} | hooks))


@pytest.fixture
def letters(make_chat):
    return example_letters(make_chat().project)


def address(hook, form="json"):
    return f"{form}+{hook.url}/{SECRET}"


def webhook(url, **changes):
    settings = read_settings({"MLOPS_WEBHOOKS": url} | changes)
    return Webhook(settings, settings.webhooks[0], "tiny")


def test_each_kind_goes_to_its_own_webhooks(make_chat, hook):
    office = make_chat(
        WEBHOOKS=f"json+{hook.url}/all", WEBHOOKS_CHAMPION=f"slack+{hook.url}/champions,teams+{hook.url}/too"
    )
    office.materialize(champion_model, config=champion(PROMOTED))
    office.materialize(crashes)
    office.tick()
    assert office.told == "3 new; 3 sent"
    told = {path: body for path, _, body in hook.received}
    assert told["/all"]["alerts"][0]["title"] == "crashes failed"
    assert told["/champions"]["text"] == "[tiny] Ridge is the new champion"
    assert told["/too"]["attachments"][0]["content"]["body"][0]["text"] == "[tiny] Ridge is the new champion"


def test_a_message_waits_while_the_webhook_is_down_and_keeps_no_mail_waiting(make_chat, hook, smtp_server):
    office = make_chat(WEBHOOKS=address(hook), MAIL_TO="ann@example.com")
    hook.answer = 503
    for _ in range(2):
        office.materialize(crashes)
    office.tick()
    assert "does not take messages now: 503 (next try" in office.told
    assert (len(hook.received), len(subjects(smtp_server))) == (1, 2)
    hook.answer = 200
    for _ in range(3):
        office.tick()
    assert len(hook.received) == 3 and office.counts() == {"sent": 4}


def test_a_storm_is_one_digest(make_chat, hook):
    office = make_chat(WEBHOOKS=address(hook))
    for _ in range(6):
        office.materialize(crashes)
    office.tick()
    ((_, _, body),) = hook.received
    assert (body["title"], len(body["alerts"])) == ("6 messages (failure 6)", 6)


def test_a_message_that_may_have_arrived_is_sent_again_as_the_very_same(make_chat, hook):
    office = make_chat(WEBHOOKS=address(hook))
    hook.answer = None
    office.materialize(crashes)
    office.tick()
    assert "did not confirm" in office.told
    hook.answer = 204
    office.materialize(crashes)
    office.tick()
    (_, first, before), *others = hook.received
    again = [body for _, headers, body in others if headers["Idempotency-Key"] == first["Idempotency-Key"]]
    assert again == [before] and len(others) == 2


def test_what_waits_for_a_webhook_that_was_removed_is_given_up_in_time(make_chat, hook):
    office = make_chat(WEBHOOKS=address(hook))
    hook.answer = 500
    office.materialize(crashes)
    office.tick()
    office = make_chat(WEBHOOKS=f"json+{hook.url}/other")
    office.now += timedelta(minutes=20)
    office.tick()
    assert "is no longer in the settings" in office.told and len(hook.received) == 1
    office.tick(after=timedelta(days=2))
    assert office.counts() == {"expired": 1}


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (404, DeliveryRefused, "refuses the message: 404, it is gone or moved: set it anew"),
        (302, DeliveryRefused, "refuses the message: 302, it is gone or moved"),
        (400, DeliveryRefused, "refuses the message: 400$"),
        (429, DeliveryError, "does not take messages now: 429"),
        (None, DeliveryUnconfirmed, "did not confirm the message"),
    ],
)
def test_an_answer_says_whether_to_try_again_and_never_the_address(hook, letters, answer, error, said):
    hook.answer = answer
    with pytest.raises(DeliveryError, match=said) as caught:
        webhook(address(hook)).deliver(letters["failure"], seconds=5)
    assert caught.type is error and SECRET not in str(caught.value)
    assert [path for path, *_ in hook.received] == [f"/{SECRET}"]  # a redirection is not followed


def test_a_webhook_that_cannot_be_reached_is_told(letters):
    with pytest.raises(DeliveryError, match=r"cannot be reached \(Connection refused\): check MLOPS_WEBHOOKS"):
        webhook(f"slack+http://127.0.0.1:{free_port()}/x").deliver(letters["failure"], seconds=5)


@pytest.mark.parametrize("value", ["https://hooks.slack.com/s3same", "slack+ftp://x/s3same", "irc+https://x/s3same"])
def test_a_wrong_webhook_is_told_without_its_value(value):
    with pytest.raises(SettingsError, match="MLOPS_WEBHOOKS_DRIFT: entry 2 is not a webhook such as") as caught:
        read_settings({"MLOPS_WEBHOOKS_DRIFT": f"json+https://example.com/1,{value}"})
    assert "s3same" not in str(caught.value)


def test_the_address_appears_nowhere(make_chat, hook, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    office = make_chat(WEBHOOKS=address(hook), WEBHOOKS_SUCCESS=address(hook, "slack"))
    office.materialize(crashes)
    for hook.answer in (500, None, 403, 200):
        office.tick(after=timedelta(minutes=16))
    assert office.counts() == {"sent": 1}
    shown = [office.told, office.cursor, repr(office.project), caplog.text, *capfd.readouterr()]
    shown += [json.dumps(body) for _, _, body in hook.received]
    assert not any("s3same" in text for text in shown)
    assert not any(b"s3same" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", PAYLOADS)
def test_every_kind_of_letter_fits_the_form(form, letters):
    for letter in letters.values():
        body = json.dumps(PAYLOADS[form](letter, "tiny"))
        assert letter.alerts[0].title in body or letter.is_digest
        assert len(body) < 28_000  # of Teams; Slack takes more


def test_a_slack_message_keeps_its_limits_and_is_escaped(letters):
    blocks = PAYLOADS["slack"](letters["proposed"], "tiny")["blocks"]
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    assert len(blocks) <= 50 and all(0 < len(text) <= 3000 for text in texts)
    assert "&gt; XGBoost" in "".join(texts) and "mlops-assets approve 5" in "".join(texts)
    (button,) = next(block["elements"] for block in blocks if block["type"] == "actions")
    assert urlsplit(button["url"]).query == "board=model"


def test_a_card_of_teams_has_the_comparison_and_buttons(letters):
    card = PAYLOADS["teams"](letters["promoted"], "tiny")["attachments"][0]["content"]
    facts = next(part["facts"] for part in card["body"] if part["type"] == "FactSet")
    assert facts[0] == {"title": "Champion", "value": "Ridge (version 3) -> XGBoost (version 5)"}
    assert card["actions"][0]["title"] == "Open the dashboard"


def test_without_webhooks_there_is_no_channel_of_them():
    assert open_channels(read_settings({}), "tiny") == []


def test_outbox_names_a_webhook_by_a_digest(make_chat, hook):
    office = make_chat(WEBHOOKS=address(hook, "slack"))
    hook.answer = 500
    office.materialize(crashes)
    office.tick()
    (letter,) = Outbox(office.project.database).claim(office.now + timedelta(hours=1), digest_from=5, most=9)
    assert letter.recipient.startswith("slack:") and SECRET not in letter.recipient
