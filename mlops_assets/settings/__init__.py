"""Typed settings, read once from `MLOPS_*` environment variables and an optional `.env` file.

In: strings of the environment. Out: one frozen `Settings`, whose fields are in groups by subject, or a SettingsError.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mlops_assets.errors import SettingsError
from mlops_assets.settings.data import DataSettings
from mlops_assets.settings.fields import Group
from mlops_assets.settings.mail import MailSettings
from mlops_assets.settings.operation import AutomationSettings, KeepingSettings
from mlops_assets.settings.root import environment, project_root
from mlops_assets.settings.serving import AddressSettings, ServingSettings
from mlops_assets.settings.training import PromotionSettings, TrainingSettings

__all__ = ["GROUPS", "PREFIX", "Settings", "environment", "project_root", "read_settings"]

PREFIX = "MLOPS_"
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

    Raises SettingsError naming each variable that is unknown or wrong. An empty variable counts as not set.
    """
    env = environment() if env is None else env
    values = {name.removeprefix(PREFIX).lower(): value for name, value in env.items() if name.startswith(PREFIX)}
    values = {name: value for name, value in values.items() if value.strip()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(item) for item in error.errors(include_url=False, include_input=False))
        raise SettingsError(problems) from None


def _explain(problem: ErrorDetails) -> str:
    field = str(problem["loc"][0])
    name = PREFIX + field.upper()
    if problem["type"] == "extra_forbidden":
        close = get_close_matches(field, Settings.model_fields, n=1)
        hint = f"did you mean {PREFIX}{close[0].upper()}?" if close else "see docs/settings.md for the names"
        return f"{name} is not a setting: {hint}"
    return f"{name}: {problem['msg'].removeprefix('Value error, ')} ({Settings.model_fields[field].description})"
