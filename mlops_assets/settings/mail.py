"""How people are told of what happened: by mail and by webhooks, and who hears of what."""

from typing import Literal

from pydantic import Field, SecretStr

from mlops_assets.settings.fields import Address, Addresses, Group, Webhooks


class MailSettings(Group):
    """The mail server, webhooks of chats and programs, and who hears of which kind."""

    title = "Mail and chat"

    smtp_host: str | None = Field(None, description="Mail server; without it no mail is sent.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["plain", "starttls", "ssl"] = Field("starttls", description="How mail is encrypted.")
    smtp_user: str | None = Field(None, description="User at the mail server, where it asks for one.")
    smtp_password: SecretStr | None = Field(None, description="Password of that user.")
    smtp_timeout: float = Field(15, gt=0, le=60, description="Seconds to wait for the mail server.")
    mail_sender: Address = Field("mlops-assets@localhost", description="Sender of all mail.")
    mail_to: Addresses = Field((), description="Recipients of all kinds of mail that have none of their own.")
    mail_to_failure: Addresses = Field((), description="Recipients of failures and failed checks.")
    mail_to_champion: Addresses = Field((), description="Recipients of promotions and refusals.")
    mail_to_drift: Addresses = Field((), description="Recipients of drift, and of errors beyond the promise.")
    mail_to_freshness: Addresses = Field((), description="Recipients of freshness warnings and failures.")
    mail_to_success: Addresses = Field((), description="Recipients of successes; without any, none are sent.")
    webhooks: Webhooks = Field(
        (),
        description="Webhooks for all kinds that have none of their own, separated by commas: slack+https://..., "
        "teams+https://... or json+https://...",
    )
    webhooks_failure: Webhooks = Field((), description="Webhooks for failures and failed checks.")
    webhooks_champion: Webhooks = Field((), description="Webhooks for promotions and refusals.")
    webhooks_drift: Webhooks = Field((), description="Webhooks for drift, and for errors beyond the promise.")
    webhooks_freshness: Webhooks = Field((), description="Webhooks for freshness warnings and failures.")
    webhooks_success: Webhooks = Field((), description="Webhooks for successes; without any, none are sent.")
    webhook_timeout: float = Field(10, gt=0, le=60, description="Seconds to wait for a webhook.")
    mail_max_age_hours: float = Field(24, gt=0, description="No mail and no webhook for what happened longer ago.")
    mail_digest_from: int = Field(5, ge=2, description="So many alerts due at once for a recipient become one digest.")

    @property
    def all_webhooks(self) -> tuple[SecretStr, ...]:
        """Each webhook once, whatever it hears of."""
        groups = [getattr(self, name) for name in MailSettings.model_fields if name.startswith("webhooks")]
        return tuple(dict.fromkeys(url for group in groups for url in group))

    @property
    def alert_secrets(self) -> tuple[SecretStr, ...]:
        """What must not appear in any text."""
        return (*self.all_webhooks, *([self.smtp_password] if self.smtp_password else []))
