"""`mail-test`: does mail arrive?"""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_assets.automation.alert import KINDS, Alert, Fact, recipients
from mlops_assets.automation.mails import compose
from mlops_assets.automation.outbox import Letter
from mlops_assets.errors import SettingsError
from mlops_assets.project import open_project
from mlops_assets.resources.mailer import Mailer


def send_test() -> None:
    """Send one mail to each recipient, printing who got it. Raises SettingsError or MailError."""
    project = open_project()
    mailer, now = Mailer(project.settings), datetime.now(UTC)
    people = recipients(project.settings, KINDS)
    if not people:
        raise SettingsError("no recipient is set: set MLOPS_MAIL_TO")
    for person in people:
        hears_of = ", ".join(kind for kind in KINDS if person in recipients(project.settings, [kind]))
        alert = Alert(
            key=f"test:{now.isoformat()}",
            kinds=("success",),
            happened_at=now,
            title="test mail",
            cause="mail from this project arrives",
            facts=(Fact("Server", mailer.server), Fact("You hear of", hears_of)),
        )
        mailer.send(compose(Letter(alert.key, person, (alert,), attempts=0), project.spec.name))
        print(f"sent to {person} ({hears_of})")
