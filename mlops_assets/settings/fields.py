"""What settings are made of: the base of their groups, and types of fields that check what pydantic does not."""

import base64
import re
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

_KEY_BYTES = 32  # Ed25519, private and public
_WEBHOOK = re.compile(r"(slack|teams|json)\+https?://[^\s/@]+(/\S*)?")
_CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_ADDRESS = re.compile(r'[^\s@<>()",;:\\]+@[^\s@<>()",;:\\]+')


class Group(BaseModel):
    """Settings of one subject; each field is the variable `MLOPS_<FIELD>`. `title` heads them in docs/settings.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]


def _split_names(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_class_paths(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _CLASS.fullmatch(value):
            raise ValueError(f"'{value}' is not the import path of a class such as my_models.Mine")
    return values


def _check_addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for number, value in enumerate(values, start=1):
        if not (value.isascii() and value.isprintable() and _ADDRESS.fullmatch(value)):
            raise ValueError(f"entry {number} is not an address such as name@example.com")
    return values


def _check_address(value: str) -> str:
    return _check_addresses((value,))[0]


def _check_webhooks(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, value in enumerate(values, start=1):
        if not _WEBHOOK.fullmatch(value.get_secret_value()):
            raise ValueError(
                f"entry {number} is not a webhook such as slack+https://hooks.slack.com/...: "
                "slack+, teams+ or json+, then its address"
            )
    return values


def _check_key(key: str) -> str:
    try:
        raw = base64.b64decode(key, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ValueError("it is not a key as `mlops-assets new-signing-key` prints them")
    return key


def _check_secret_key(key: SecretStr) -> SecretStr:
    _check_key(key.get_secret_value())
    return key


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it is not a time zone such as Europe/Berlin") from None
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]  # separated by commas
ClassPaths = Annotated[Names, AfterValidator(_check_class_paths)]
Addresses = Annotated[Names, AfterValidator(_check_addresses)]
Address = Annotated[str, AfterValidator(_check_address)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split_names)]
Webhooks = Annotated[Secrets, AfterValidator(_check_webhooks)]
Key = Annotated[str, AfterValidator(_check_key)]
Keys = Annotated[tuple[Key, ...], BeforeValidator(_split_names)]
SecretKey = Annotated[SecretStr, AfterValidator(_check_secret_key)]
Zone = Annotated[str, AfterValidator(_check_zone)]
