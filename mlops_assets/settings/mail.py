"""How mail is sent, and who gets it."""

from typing import Literal

from pydantic import Field, SecretStr

from mlops_assets.settings.fields import Address, Addresses, Group


class MailSettings(Group):
    """The mail server, and the recipients of each kind of mail."""

    title = "Mail"

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
    mail_max_age_hours: float = Field(24, gt=0, description="No mail for what happened longer ago.")
    mail_digest_from: int = Field(5, ge=2, description="So many mails due at once become one digest.")
