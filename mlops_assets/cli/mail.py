"""`mail test`: do mail and webhooks arrive? `mail preview`: what do they look like?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_assets.alerts.alert import KINDS, Alert, Fact
from mlops_assets.alerts.channels import open_channels, recipients
from mlops_assets.alerts.outbox import Letter
from mlops_assets.cli.terminal import print_json
from mlops_assets.errors import SettingsError
from mlops_assets.project import open_project


def send_test(*, as_json: bool = False) -> None:
    """Send one message to each recipient, printing who got it. Raises SettingsError or DeliveryError."""
    sent: list[dict[str, Any]] = []
    project = open_project()
    settings, now = project.settings, datetime.now(UTC)
    channels = open_channels(settings, project.spec.name)
    if not channels:
        raise SettingsError("nobody can be told: set MLOPS_SMTP_HOST and MLOPS_MAIL_TO, or MLOPS_WEBHOOKS")
    if not recipients(channels, KINDS):
        raise SettingsError("no recipient is set: set MLOPS_MAIL_TO, or MLOPS_WEBHOOKS")
    for channel in channels:
        for recipient in recipients([channel], KINDS):
            kinds = [kind for kind in KINDS if recipient in channel.recipients(kind)]
            hears_of = ", ".join(kinds)
            alert = Alert(
                key=f"test:{now.isoformat()}",
                kinds=("success",),
                happened_at=now,
                title="test message",
                summary="Messages from this project arrive.",
                cause="somebody asked for a test",
                facts=(Fact("You hear of", hears_of),),
            )
            letter = Letter(f"{alert.key}:{recipient}", recipient, (alert,), attempts=0)
            channel.deliver(letter, max(settings.smtp_timeout, settings.webhook_timeout))
            sent.append({"recipient": recipient, "hears_of": kinds})
            if not as_json:
                print(f"sent to {recipient} ({hears_of})")
    if as_json:
        print_json(sent)


def write_previews(folder: Path, *, as_json: bool = False) -> None:
    """Write a page of each kind of mail, and print their paths."""
    from mlops_assets.alerts.examples import example_letters
    from mlops_assets.alerts.mail import compose

    project = open_project()
    folder.mkdir(parents=True, exist_ok=True)
    letters = example_letters(project)
    pages = {name: folder / f"{name}.html" for name in letters}
    for name, page in pages.items():
        page.write_text(compose(letters[name], project.spec.name).html)
        if not as_json:
            print(page)
    if as_json:
        print_json(pages)
