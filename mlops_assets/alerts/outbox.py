"""The outbox: alerts wait here until the mail server has confirmed them, so that none is lost and none told twice."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mlops_assets.alerts.alert import Alert, alert_from_json
from mlops_assets.resources.databases.database import Database, insert_new
from mlops_assets.resources.databases.schema import MAIL_OUTBOX

WAITING, SENDING, SENT, EXPIRED = "waiting", "sending", "sent", "expired"
# Longer than a tick of a sensor may take: whoever holds a mail for longer is dead.
LEASE = timedelta(minutes=5)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)

_C = MAIL_OUTBOX.c


@dataclass(frozen=True)
class Letter:
    """What goes to one person in one mail: an alert, or several as a digest."""

    id: str
    recipient: str
    alerts: tuple[Alert, ...]
    attempts: int
    uncertain: bool = False  # an earlier try may have sent it, so it stays the same mail from now on
    expired: tuple[int, ...] = ()  # rows that grew too old to be sent, and that nobody was told of

    @property
    def is_digest(self) -> bool:
        return len(self.alerts) > 1


class Outbox:
    """Alerts by recipient in the project's database; any number of processes may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def knows(self, key: str) -> bool:
        """Whether the alert with this key was ever added."""
        with self._database.transaction() as connection:
            return connection.scalar(sa.select(_C.id).where(_C.key == key).limit(1)) is not None

    def add(self, alert: Alert, recipients: Iterable[str], now: datetime) -> int:
        """Keep an alert for each recipient who does not have it yet; how many that are."""
        values = {"key": alert.key, "alert": alert.to_json(), "happened_at": alert.happened_at}
        values |= {"state": WAITING, "next_try": now}
        with self._database.transaction() as connection:
            insert = insert_new(connection, MAIL_OUTBOX)
            rows = (values | {"recipient": recipient} for recipient in recipients)
            return sum(connection.execute(insert, row).rowcount for row in rows)

    def expire(self, now: datetime, age: timedelta) -> int:
        """Give up what happened longer ago than `age` and was not sent; how many that are."""
        old = _due(now) & (_C.happened_at < now - age)
        with self._database.transaction() as connection:
            return connection.execute(MAIL_OUTBOX.update().where(old).values(state=EXPIRED, letter=None)).rowcount

    def forget(self, before: datetime) -> None:
        """Remove what was sent, or given up, and happened before this time."""
        ended = _C.state.in_([SENT, EXPIRED]) & (_C.happened_at < before)
        with self._database.transaction() as connection:
            connection.execute(MAIL_OUTBOX.delete().where(ended))

    def claim(self, now: datetime, *, digest_from: int, most: int) -> list[Letter]:
        """Mails that are due, at most so many, marked as being sent: no other process gets them for now.

        `digest_from` or more alerts for one recipient become one mail. One whose fate is unknown comes
        again as it was.
        """
        query = sa.select(_C.id, _C.recipient, _C.key, _C.letter).where(_due(now)).order_by(_C.happened_at, _C.id)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        mails: dict[str, list[int]] = defaultdict(list)
        waiting: dict[str, list[sa.Row[Any]]] = defaultdict(list)
        for row in rows:
            if row.letter:
                mails[row.letter].append(row.id)
            else:
                waiting[row.recipient].append(row)
        uncertain = set(mails)
        for recipient, mine in waiting.items():
            for part in [mine] if len(mine) >= digest_from else [[row] for row in mine]:
                mails[_mail_id(recipient, [row.key for row in part])] = [row.id for row in part]
        claimed = (self._claim(name, ids, now, name in uncertain) for name, ids in list(mails.items())[:most])
        return [mail for mail in claimed if mail]

    def mark_sent(self, mail: Letter, now: datetime) -> None:
        sent = {"state": SENT, "sent_at": now, "last_error": None}
        with self._database.transaction() as connection:
            connection.execute(MAIL_OUTBOX.update().where(_held(mail)).values(**sent))
            expired = _C.id.in_(mail.expired) & (_C.state == EXPIRED)
            connection.execute(MAIL_OUTBOX.update().where(expired).values(letter=mail.id))

    def put_back(self, mails: Sequence[Letter], error: str, now: datetime) -> datetime:
        """Note that these were not sent; they are due again, in whatever mails, at the time given back."""
        attempts = max(mail.attempts for mail in mails) + 1
        next_try = now + min(FIRST_WAIT * 2 ** min(attempts - 1, 16), LONGEST_WAIT)
        changes = {"attempts": attempts, "last_error": error, "next_try": next_try}
        self._return(mails, changes)
        return next_try

    def keep(self, mail: Letter, error: str, now: datetime) -> datetime:
        """Note that this may be sent or not; it is due again, as it is, at the time given back."""
        return self.put_back([replace(mail, uncertain=True)], error, now)

    def release(self, mails: Sequence[Letter], now: datetime) -> None:
        """Give back mails that were not tried: they are due at once."""
        self._return(mails, {"next_try": now})

    def counts(self) -> dict[str, int]:
        """How many rows are in each state."""
        query = sa.select(_C.state, sa.func.count()).group_by(_C.state)
        with self._database.transaction() as connection:
            return dict(connection.execute(query).tuples().all())

    def _claim(self, name: str, ids: list[int], now: datetime, uncertain: bool) -> Letter | None:
        """Take what is still due of these rows; None where another process was faster."""
        held: dict[str, Any] = {"state": SENDING, "letter": name, "next_try": now + LEASE}
        mine = sa.select(MAIL_OUTBOX).where(_C.letter == name, _C.state == SENDING).order_by(_C.happened_at, _C.id)
        with self._database.transaction() as connection:
            if not connection.execute(MAIL_OUTBOX.update().where(_C.id.in_(ids), _due(now)).values(**held)).rowcount:
                return None
            rows = connection.execute(mine).all()
            recipient = rows[0].recipient
            untold = sa.select(_C.id).where(_C.recipient == recipient, _C.state == EXPIRED, _C.letter.is_(None))
            return Letter(
                id=name,
                recipient=recipient,
                alerts=tuple(alert_from_json(row.alert) for row in rows),
                attempts=max(row.attempts for row in rows),
                uncertain=uncertain,
                expired=tuple(connection.scalars(untold)),
            )

    def _return(self, mails: Sequence[Letter], changes: dict[str, Any]) -> None:
        with self._database.transaction() as connection:
            for mail in mails:
                values = changes if mail.uncertain else changes | {"state": WAITING, "letter": None}
                connection.execute(MAIL_OUTBOX.update().where(_held(mail)).values(**values))


def _due(now: datetime) -> sa.ColumnElement[bool]:
    """Rows to send now: those that wait, and those whose sender died or never heard an answer.

    A time that no wait of now could have given says that the clock has been set back since.
    """
    come = (_C.next_try <= now) | (_C.next_try > now + LONGEST_WAIT)
    return _C.state.in_([WAITING, SENDING]) & come


def _held(mail: Letter) -> sa.ColumnElement[bool]:
    return (_C.letter == mail.id) & (_C.state == SENDING)


def _mail_id(recipient: str, keys: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([recipient, *sorted(keys)]).encode()).hexdigest()[:40]
