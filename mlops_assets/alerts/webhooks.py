"""Webhooks: alerts as messages of Slack and Teams, and as plain JSON for programs.

The address is a secret: whoever knows it may post. It is in the settings alone; the outbox, texts and errors name a
webhook by a digest of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import SecretStr

from mlops_assets.alerts.alert import Alert, Kind, Link, chosen
from mlops_assets.alerts.wording import LONGEST_DIGEST, chart_lines, comparison_lines, notes_of, title_of, when
from mlops_assets.errors import DeliveryError, DeliveryRefused, DeliveryUnconfirmed
from mlops_assets.settings import Settings

if TYPE_CHECKING:
    from mlops_assets.alerts.outbox import Letter

# Of Slack: a header takes so many characters, a text so many, a message so many blocks.
_HEADER, _TEXT, _BLOCKS = 150, 3000, 50
_TRY_LATER = {408, 425, 429}


class Webhook:
    """One webhook of the settings, such as `slack+https://hooks.slack.com/services/...`."""

    def __init__(self, settings: Settings, url: SecretStr, dataset: str) -> None:
        self._settings, self._secret, self._dataset = settings, url, dataset
        self._form, _, self._url = url.get_secret_value().partition("+")
        self.name = f"{self._form}:{hashlib.sha256(self._url.encode()).hexdigest()[:12]}"

    def recipients(self, kind: Kind) -> tuple[str, ...]:
        return (self.name,) if self._secret in chosen(self._settings, "webhooks", kind) else ()

    def serves(self, recipient: str) -> bool:
        return recipient == self.name

    def deliver(self, letter: Letter, seconds: float) -> None:
        """Post a letter. A letter that is sent again has the same `Idempotency-Key`."""
        body = json.dumps(PAYLOADS[self._form](letter, self._dataset)).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": letter.id, "User-Agent": "mlops-assets"}
        request = Request(self._url, data=body, headers=headers, method="POST")
        try:
            with _OPENER.open(request, timeout=min(seconds, self._settings.webhook_timeout)):
                return
        except HTTPError as error:
            error.close()
            if error.code >= 500 or error.code in _TRY_LATER:
                raise DeliveryError(f"webhook {self.name} does not take messages now: {error.code}") from None
            advice = "it is gone or moved: set it anew" if error.code in {301, 302, 307, 308, 403, 404, 410} else ""
            what = f"webhook {self.name} refuses the message: {error.code}"
            raise DeliveryRefused(f"{what}, {advice} (MLOPS_WEBHOOKS)" if advice else what) from None
        except URLError as error:  # nothing was handed over
            reason = getattr(error.reason, "strerror", None) or type(error.reason).__name__
            raise DeliveryError(f"webhook {self.name} cannot be reached ({reason}): check MLOPS_WEBHOOKS") from None
        except (OSError, HTTPException):
            raise DeliveryUnconfirmed(f"webhook {self.name} did not confirm the message: it may be sent") from None


class _NoRedirect(HTTPRedirectHandler):
    """A message goes where the settings say, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = build_opener(_NoRedirect)


def slack(letter: Letter, dataset: str) -> dict[str, Any]:
    """A message of Slack's Block Kit."""
    title = f"[{dataset}] {title_of(letter)}"
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": title[:_HEADER]}}]
    if letter.is_digest:
        blocks += [_section(f"*{_slack(one.title)}* ({when(one)})\n{_slack(one.summary)}") for one in letter.alerts]
    else:
        blocks += _slack_blocks(letter.alerts[0])
    notes = [_section(_slack(note)) for note in notes_of(letter)]
    return {"text": title, "blocks": [*blocks[: _BLOCKS - len(notes)], *notes]}


def _slack_blocks(alert: Alert) -> list[dict[str, Any]]:
    blocks = [_section(_slack(alert.summary))]
    if alert.comparison:
        blocks.append(_section("\n".join(_slack(line) for line in comparison_lines(alert.comparison))))
    if alert.chart:
        blocks.append(_section(f"{_slack(alert.chart.title)}\n```{_slack(chr(10).join(chart_lines(alert.chart)))}```"))
    if alert.advice:
        blocks.append(_section(_slack(alert.advice)))
    if alert.command:
        blocks.append(_section(f"```{_slack(alert.command)}```"))
    if alert.button:
        label = {"type": "plain_text", "text": alert.button.name}
        blocks.append({"type": "actions", "elements": [{"type": "button", "text": label, "url": alert.button.url}]})
    blocks.append(_section(f"Cause: {_slack(alert.cause)}"))
    if alert.links:
        links = " · ".join(f"<{_slack(link.url)}|{_slack(link.name)}>" for link in alert.links)
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links[:_TEXT]}]})
    return blocks


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_TEXT] or " "}}


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(letter: Letter, dataset: str) -> dict[str, Any]:
    """A message with an adaptive card, as the workflows of Teams take it."""
    body = [_card_text(f"[{dataset}] {title_of(letter)}", size="large", weight="bolder")]
    links: list[Link] = []
    if letter.is_digest:
        for alert in letter.alerts[:LONGEST_DIGEST]:
            body += [_card_text(f"{alert.title} ({when(alert)})", weight="bolder"), _card_text(alert.summary)]
    else:
        (alert,) = letter.alerts
        body.append(_card_text(alert.summary))
        if alert.comparison:
            facts = [line.partition(": ") for line in comparison_lines(alert.comparison)]
            body.append({"type": "FactSet", "facts": [{"title": name, "value": value} for name, _, value in facts]})
        if alert.chart:
            body.append(_card_text(alert.chart.title))
            body += [_card_text(line, fontType="monospace", spacing="none") for line in chart_lines(alert.chart)]
        texts = (alert.advice, f"Cause: {alert.cause}")
        body += [_card_text(text) for text in texts if text]
        if alert.command:
            body.append(_card_text(alert.command, fontType="monospace"))
        links = [*([alert.button] if alert.button else []), *alert.links][:6]  # so many buttons are shown
    body += [_card_text(note) for note in notes_of(letter)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": link.name, "url": link.url} for link in links],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _card_text(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text or " ", "wrap": True, **look}


def plain(letter: Letter, dataset: str) -> dict[str, Any]:
    """The alerts as they are, for programs; `id` is the same whenever this letter is sent again."""
    alerts = [json.loads(alert.to_json()) for alert in letter.alerts]
    return {
        "id": letter.id,
        "dataset": dataset,
        "title": title_of(letter),
        "alerts": alerts,
        "expired": len(letter.expired),
    }


PAYLOADS: dict[str, Callable[[Letter, str], dict[str, Any]]] = {"slack": slack, "teams": teams, "json": plain}
