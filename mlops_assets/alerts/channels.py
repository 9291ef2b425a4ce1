"""Channels: the ways by which alerts reach people and programs. Each takes letters from the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from mlops_assets.alerts.alert import Kind
from mlops_assets.settings import Settings

if TYPE_CHECKING:
    from mlops_assets.alerts.outbox import Letter


class Channel(Protocol):
    """A way to deliver. A recipient is named as the outbox keeps it: free of secrets."""

    def recipients(self, kind: Kind) -> tuple[str, ...]:
        """Who hears of this kind. Successes are told only to those who asked for them."""

    def serves(self, recipient: str) -> bool:
        """Whether a recipient, of now or of earlier settings, is reached by this channel."""

    def deliver(self, letter: Letter, seconds: float) -> None:
        """Hand a letter over, within `seconds` at most.

        Raises DeliveryRefused where this very letter is not taken, DeliveryUnconfirmed where it may have been, and any
        other DeliveryError where nothing can be delivered for now.
        """


def open_channels(settings: Settings, dataset: str) -> list[Channel]:
    """The channels that the settings name; what is wrong with one is told when it is to deliver."""
    from mlops_assets.alerts.mail import MailChannel
    from mlops_assets.alerts.webhooks import Webhook

    mail: list[Channel] = [MailChannel(settings, dataset)] if settings.smtp_host else []
    return [*mail, *(Webhook(settings, url, dataset) for url in settings.all_webhooks)]


def recipients(channels: Sequence[Channel], kinds: Iterable[Kind]) -> tuple[str, ...]:
    """Who hears of these kinds, over all channels, each once."""
    return tuple(dict.fromkeys(name for kind in kinds for one in channels for name in one.recipients(kind)))
