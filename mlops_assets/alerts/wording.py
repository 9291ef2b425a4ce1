"""What letters say, whatever the channel: titles, digests, and what was left out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mlops_assets.alerts.alert import KINDS, Alert, Bars, Comparison

if TYPE_CHECKING:
    from mlops_assets.alerts.outbox import Letter

LONGEST_DIGEST = 100
_BLOCKS = 24  # the longest bar of a chart in plain text


def title_of(letter: Letter) -> str:
    """That of the alert; of a digest, how many there are of which kinds: of several kinds, the foremost counts."""
    if not letter.is_digest:
        return letter.alerts[0].title
    counts = Counter(min(alert.kinds, key=KINDS.index) for alert in letter.alerts)
    return f"{len(letter.alerts)} messages ({', '.join(f'{kind} {counts[kind]}' for kind in KINDS if counts[kind])})"


def notes_of(letter: Letter) -> list[str]:
    """What the letter does not hold: alerts beyond the longest digest, and older ones that were given up."""
    notes, left = [], len(letter.alerts) - LONGEST_DIGEST
    if left > 0:
        notes.append(f"... and {left} more, on the page of runs.")
    if count := len(letter.expired):
        what = "1 older message was" if count == 1 else f"{count} older messages were"
        notes.append(f"{what} not sent: too much time had passed since then (MLOPS_MAIL_MAX_AGE_HOURS).")
    return notes


def when(alert: Alert) -> str:
    return f"{alert.happened_at:%Y-%m-%d %H:%M} UTC"


def comparison_lines(comparison: Comparison) -> list[str]:
    """One line a row: what was and what is."""
    lines = []
    for row in comparison.rows:
        before = f"{row.before} -> " if row.before else ""
        lines.append(f"{row.name}: {before}{row.after}")
    return lines


def chart_lines(chart: Bars) -> list[str]:
    """A chart of fixed width."""
    width = max(len(bar.name) for bar in chart.bars)
    return [
        f"{'>' if bar.stands_out else ' '} {bar.name:<{width}} {'█' * round(_BLOCKS * chart.share(bar)):<{_BLOCKS}} "
        f"{bar.text}"
        for bar in chart.bars
    ]
