"""Mails from alerts: one alert in full, or several as a digest; as plain text, and as HTML for light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from mlops_assets.alerts.alert import KINDS, Alert
from mlops_assets.alerts.outbox import QueuedMail
from mlops_assets.alerts.smtp import Mail

LONGEST_DIGEST = 100
_LONGEST_SUBJECT = 150
# No colour of text or page is set, so that the reader's own theme holds.
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark"><title>{title}</title></head>
<body style="font-family:sans-serif;line-height:1.45;max-width:44em">
{body}
</body></html>
"""
_CODE = 'style="padding:.6em;border:1px solid #888;border-radius:4px;white-space:pre-wrap;word-break:break-word"'
_NAME = 'style="text-align:left;vertical-align:top;padding:.15em 1.2em .15em 0;font-weight:normal;opacity:.75"'


def compose(queued: QueuedMail, dataset: str) -> Mail:
    """The mail as it is sent; it says how many older alerts were given up, where some were."""
    if queued.is_digest:
        title, text, html = _digest_title(queued.alerts), _digest_text(queued.alerts), _digest_html(queued.alerts)
    else:
        (alert,) = queued.alerts
        title, text, html = alert.title, _text(alert), _html(alert)
    if queued.expired:
        note = _expired_note(len(queued.expired))
        text, html = f"{text}\n{note}\n", f"{html}\n<p><em>{escape(note)}</em></p>"
    subject = f"[mlops {dataset}] {title}"[:_LONGEST_SUBJECT]
    return Mail(queued.recipient, subject, text, _PAGE.format(title=escape(title), body=html), queued.id)


def _text(alert: Alert) -> str:
    blocks = [f"{alert.title}\n{'=' * len(alert.title)}\n{alert.cause}"]
    if alert.facts:
        width = max(len(fact.name) for fact in alert.facts) + 2
        blocks.append("\n".join(f"{fact.name + ':':<{width}}{fact.value}" for fact in alert.facts))
    if alert.details:
        blocks.append("\n".join(f"- {line}" for line in alert.details))
    if alert.command:
        blocks.append(f"To try:\n    {alert.command}")
    if alert.links:
        blocks.append("\n".join(f"{link.name}: {link.url}" for link in alert.links))
    return "\n\n".join(blocks) + "\n"


def _html(alert: Alert) -> str:
    parts = [f"<h2>{escape(alert.title)}</h2>", f"<p>{escape(alert.cause)}</p>"]
    if alert.facts:
        rows = "\n".join(
            f"<tr><th {_NAME}>{escape(fact.name)}</th><td>{escape(fact.value)}</td></tr>" for fact in alert.facts
        )
        parts.append(f"<table>\n{rows}\n</table>")
    if alert.details:
        parts.append("<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in alert.details) + "\n</ul>")
    if alert.command:
        parts.append(f"<p>To try:</p>\n<pre {_CODE}>{escape(alert.command)}</pre>")
    if alert.links:
        parts.append(f"<p>{_links(alert)}</p>")
    return "\n".join(parts)


def _digest_title(alerts: Sequence[Alert]) -> str:
    """How many there are, and of which kinds: of several kinds, that which is named first counts."""
    counts = Counter(min(alert.kinds, key=KINDS.index) for alert in alerts)
    return f"{len(alerts)} messages (" + ", ".join(f"{kind} {counts[kind]}" for kind in KINDS if counts[kind]) + ")"


def _digest_text(alerts: Sequence[Alert]) -> str:
    title = _digest_title(alerts)
    entries = [
        "\n".join(
            [
                f"{alert.title} ({alert.happened_at:%Y-%m-%d %H:%M} UTC)",
                f"  {alert.cause}",
                *([f"  To try: {alert.command}"] if alert.command else []),
                *(f"  {link.name}: {link.url}" for link in alert.links),
            ]
        )
        for alert in alerts[:LONGEST_DIGEST]
    ]
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *entries, *_left_out(alerts)]) + "\n"


def _digest_html(alerts: Sequence[Alert]) -> str:
    entries = [
        f"<li><strong>{escape(alert.title)}</strong> ({alert.happened_at:%Y-%m-%d %H:%M} UTC)<br>"
        f"{escape(alert.cause)}<br>"
        + (f"To try: <code>{escape(alert.command)}</code><br>" if alert.command else "")
        + f"{_links(alert)}</li>"
        for alert in alerts[:LONGEST_DIGEST]
    ]
    more = [f"<p>{escape(line)}</p>" for line in _left_out(alerts)]
    return "\n".join([f"<h2>{escape(_digest_title(alerts))}</h2>", "<ul>", *entries, "</ul>", *more])


def _left_out(alerts: Sequence[Alert]) -> list[str]:
    left = len(alerts) - LONGEST_DIGEST
    return [f"... and {left} more, on the page of runs."] if left > 0 else []


def _links(alert: Alert) -> str:
    return " · ".join(f'<a href="{escape(link.url)}">{escape(link.name)}</a>' for link in alert.links)


def _expired_note(count: int) -> str:
    what = "1 older message was" if count == 1 else f"{count} older messages were"
    return f"{what} not sent: too much time had passed since then (MLOPS_MAIL_MAX_AGE_HOURS)."
