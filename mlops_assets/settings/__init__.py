"""Typed settings, read once from `MLOPS_*` environment variables and an optional `.env` file.

In: strings of the environment. Out: one frozen `Settings`, whose fields are in groups by subject, or a SettingsError.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from mlops_assets.errors import SettingsError
from mlops_assets.settings.data import DataSettings
from mlops_assets.settings.fields import Group, Key
from mlops_assets.settings.mail import MailSettings
from mlops_assets.settings.operation import AutomationSettings, KeepingSettings
from mlops_assets.settings.root import environment, project_root
from mlops_assets.settings.serving import AddressSettings, ServingSettings
from mlops_assets.settings.training import PromotionSettings, TrainingSettings
from mlops_assets.validation import complaint

__all__ = ["GROUPS", "PREFIX", "Settings", "environment", "project_root", "read_settings", "trusted_types"]

PREFIX = "MLOPS_"
_SHOWN_CHARACTERS = 80  # of a wrong value
# In the order in which the docs show them.
GROUPS: tuple[type[Group], ...] = (
    DataSettings,
    TrainingSettings,
    PromotionSettings,
    AutomationSettings,
    KeepingSettings,
    ServingSettings,
    AddressSettings,
    MailSettings,
)


class Settings(
    # Pydantic lists the fields of the last base first.
    MailSettings,
    AddressSettings,
    ServingSettings,
    KeepingSettings,
    AutomationSettings,
    PromotionSettings,
    TrainingSettings,
    DataSettings,
):
    """All settings of the project; each field is the variable `MLOPS_<FIELD>`."""

    title = "All settings"


def read_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings.

    Raises SettingsError naming each variable that is unknown or wrong, with its value where that is no secret. An empty
    variable counts as not set.
    """
    env = environment() if env is None else env
    values = {name.removeprefix(PREFIX).lower(): value for name, value in env.items() if name.startswith(PREFIX)}
    values = {name: value for name, value in values.items() if value.strip()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(item, values) for item in error.errors(include_url=False, include_input=False))
        raise SettingsError(problems) from None


def trusted_types() -> tuple[str, ...]:
    """The classes that this process trusts by MLOPS_TRUSTED_TYPES; a model may be loaded where there is no project.

    Raises SettingsError.
    """
    name = f"{PREFIX}TRUSTED_TYPES"
    return read_settings({name: environment().get(name, "")}).trusted_types


def _explain(problem: ErrorDetails, values: Mapping[str, str]) -> str:
    field = str(problem["loc"][0])
    name = PREFIX + field.upper()
    if problem["type"] == "extra_forbidden":  # its value may be that of a secret whose name was mistyped
        close = get_close_matches(field, Settings.model_fields, n=1)
        hint = f"did you mean {PREFIX}{close[0].upper()}?" if close else "see docs/settings.md for the names"
        return f"{name} is not a setting: {hint}"
    setting = Settings.model_fields[field]
    given = "" if _is_hidden(setting.annotation) else f"={_shown(values[field])}"
    return f"{name}{given}: {complaint(problem)} ({setting.description})"


def _is_hidden(kind: Any) -> bool:
    """Whether a field of this type holds secrets, or keys, which may be private by mistake."""
    return kind in (SecretStr, Key) or any(_is_hidden(part) for part in get_args(kind))


def _shown(value: str) -> str:
    """A value in quotes, cut where it is long, and without what may be secret in a URL: user, password and query."""
    value = re.sub(r"(?<=://)[^/?#]*@", "***@", value)
    value = re.sub(r"(://[^?]*\?).+", r"\1***", value)
    return repr(value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}...")
