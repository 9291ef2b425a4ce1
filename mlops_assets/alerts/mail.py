"""Mail as a channel, and its letters: one alert in full, or several as a digest, as plain text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from mlops_assets.alerts.alert import Alert, Bars, Comparison, Kind, Link, chosen
from mlops_assets.alerts.smtp import Mail, Mailer
from mlops_assets.alerts.wording import LONGEST_DIGEST, chart_lines, comparison_lines, notes_of, title_of, when
from mlops_assets.settings import Settings

if TYPE_CHECKING:
    from mlops_assets.alerts.outbox import Letter

_LONGEST_SUBJECT = 150
# No colour of text or page is set, so that the reader's own theme holds. Old readers of mail know tables and inline
# styles, and little else.
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><meta name="supported-color-schemes" content="light dark">
<title>{title}</title></head>
<body style="font-family:sans-serif;line-height:1.45;max-width:42em;margin:1em">
{body}
</body></html>
"""
_NAME = 'style="text-align:left;vertical-align:top;padding:.2em 1.2em .2em 0;font-weight:normal;opacity:.8"'
_CELL = 'style="text-align:left;vertical-align:top;padding:.2em 1.2em .2em 0"'
_CODE = 'style="padding:.6em;border:1px solid #888;border-radius:4px;white-space:pre-wrap;word-break:break-word"'
_BUTTON = (
    'style="display:inline-block;padding:.55em 1.2em;border-radius:4px;background:#1c5fb8;color:#ffffff;'
    'text-decoration:none;font-weight:bold"'
)
_SMALL = 'style="font-size:.9em;border-top:1px solid #888;margin-top:1.5em"'
_BAR, _BAR_THAT_STANDS_OUT = "#7d8894", "#2f7de1"


class MailChannel:
    """Mail to the addresses of the settings, through their server."""

    def __init__(self, settings: Settings, dataset: str) -> None:
        self._settings, self._dataset = settings, dataset

    def recipients(self, kind: Kind) -> tuple[str, ...]:
        return chosen(self._settings, "mail_to", kind)

    def serves(self, recipient: str) -> bool:
        return "@" in recipient

    def deliver(self, letter: Letter, seconds: float) -> None:
        mailer = Mailer(self._settings)
        mailer.send(compose(letter, self._dataset), min(seconds, self._settings.smtp_timeout))


def compose(letter: Letter, dataset: str) -> Mail:
    """The mail as it is sent; it says how many older alerts were given up, where some were."""
    title, notes = title_of(letter), notes_of(letter)
    heading = f"{title}\n{'=' * len(title)}"
    if letter.is_digest:
        alerts = letter.alerts[:LONGEST_DIGEST]
        blocks = [heading, *(_text_entry(alert) for alert in alerts)]
        entries = "\n".join(_html_entry(alert) for alert in alerts)
        parts = [f'<h1 style="font-size:1.3em">{escape(title)}</h1>', f"<ul>\n{entries}\n</ul>"]
    else:
        (alert,) = letter.alerts
        blocks, parts = [heading, *_text(alert)], [*_html(alert)]
    html = "\n".join([*parts, *(f"<p><em>{escape(note)}</em></p>" for note in notes)])
    subject = f"[mlops {dataset}] {title}"[:_LONGEST_SUBJECT]
    text = "\n\n".join([*blocks, *notes]) + "\n"
    return Mail(letter.recipient, subject, text, _PAGE.format(title=escape(title), body=html), letter.id)


def _text(alert: Alert) -> Iterator[str]:
    if alert.summary:
        yield alert.summary
    if alert.comparison:
        yield "\n".join(comparison_lines(alert.comparison))
    if alert.chart:
        yield "\n".join([alert.chart.title, *chart_lines(alert.chart)])
    if todo := [alert.advice] * bool(alert.advice) + [f"    {alert.command}"] * bool(alert.command):
        yield "\n".join(todo)
    if alert.button:
        yield f"{alert.button.name}: {alert.button.url}"
    yield f"Cause: {alert.cause}"
    if alert.facts:
        yield "\n".join(f"{fact.name}: {fact.value}" for fact in alert.facts)
    if alert.details:
        yield "\n".join(f"- {line}" for line in alert.details)
    if alert.links:
        yield "\n".join(f"{link.name}: {link.url}" for link in alert.links)


def _html(alert: Alert) -> Iterator[str]:
    yield f'<h1 style="font-size:1.3em;margin-bottom:.3em">{escape(alert.title)}</h1>'
    if alert.summary:
        yield f'<p style="font-size:1.1em;margin-top:0">{escape(alert.summary)}</p>'
    if alert.comparison:
        yield _html_comparison(alert.comparison)
    if alert.chart:
        yield _html_chart(alert.chart)
    if alert.advice:
        yield f"<p>{escape(alert.advice)}</p>"
    if alert.command:
        yield f"<pre {_CODE}>{escape(alert.command)}</pre>"
    if alert.button:
        yield f'<p><a {_BUTTON} href="{escape(alert.button.url)}">{escape(alert.button.name)}</a></p>'
    yield f"<div {_SMALL}>\n<p>Cause: {escape(alert.cause)}</p>"
    if alert.facts:
        rows = (f"<tr><th {_NAME}>{escape(one.name)}</th><td>{escape(one.value)}</td></tr>" for one in alert.facts)
        yield "\n".join(["<table>", *rows, "</table>"])
    if alert.details:
        yield "\n".join(["<ul>", *(f"<li>{escape(line)}</li>" for line in alert.details), "</ul>"])
    if alert.links:
        yield f"<p>{_links(alert.links)}</p>"
    yield "</div>"


def _html_comparison(comparison: Comparison) -> str:
    cells = (("", comparison.before, comparison.after), *((row.name, row.before, row.after) for row in comparison.rows))
    rows = (
        f"<tr><th {_NAME}>{escape(name)}</th><{tag} {_CELL}>{escape(before)}</{tag}>"
        f"<{tag} {_CELL}>{escape(after)}</{tag}></tr>"
        for tag, (name, before, after) in zip(["th", *["td"] * len(comparison.rows)], cells, strict=True)
    )
    return "\n".join(["<table>", *rows, "</table>"])


def _html_chart(chart: Bars) -> str:
    rows = []
    for bar in chart.bars:
        colour = _BAR_THAT_STANDS_OUT if bar.stands_out else _BAR
        name = f"<strong>{escape(bar.name)}</strong>" if bar.stands_out else escape(bar.name)
        length = f"width:{max(chart.share(bar), 0.01):.0%};height:.8em;background:{colour}"
        rows.append(
            f'<tr><th {_NAME}>{name}</th><td style="width:30%"><div style="{length}"></div></td>'
            f'<td style="padding-left:.8em">{escape(bar.text)}</td></tr>'
        )
    return "\n".join([f"<p>{escape(chart.title)}</p>", "<table>", *rows, "</table>"])


def _text_entry(alert: Alert) -> str:
    lines = [f"{alert.title} ({when(alert)})", *([f"  {alert.summary}"] if alert.summary else [])]
    lines += [f"  Cause: {alert.cause}", *([f"  To do: {alert.command}"] if alert.command else [])]
    return "\n".join([*lines, *(f"  {link.name}: {link.url}" for link in alert.links)])


def _html_entry(alert: Alert) -> str:
    lines = [f"<strong>{escape(alert.title)}</strong> ({when(alert)})"]
    lines += [escape(alert.summary)] if alert.summary else []
    lines += [f"Cause: {escape(alert.cause)}"]
    lines += [f"To do: <code>{escape(alert.command)}</code>"] if alert.command else []
    return f"<li>{'<br>'.join([*lines, _links(alert.links)])}</li>"


def _links(links: tuple[Link, ...]) -> str:
    return " · ".join(f'<a href="{escape(link.url)}">{escape(link.name)}</a>' for link in links)
