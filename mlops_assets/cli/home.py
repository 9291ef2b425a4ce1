"""Where Dagster keeps its runs and events: $DAGSTER_HOME, by default in the project's home folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.errors import SettingsError
from mlops_assets.settings import Settings, project_root

if TYPE_CHECKING:
    import dagster as dg


def prepare_dagster_home(settings: Settings) -> Path:
    """Set $DAGSTER_HOME where it is not set, and link the project's `dagster.yaml` into it."""
    given = os.environ.get("DAGSTER_HOME")
    home = Path(given) if given else settings.home_path / "dagster"
    if not home.is_absolute():
        raise SettingsError(f"DAGSTER_HOME must be an absolute path, not {given}")
    try:
        home.mkdir(parents=True, exist_ok=True)
        config, shipped = home / "dagster.yaml", project_root() / "dagster.yaml"
        if not config.exists() and shipped.exists():
            config.unlink(missing_ok=True)  # a link whose target has moved
            config.symlink_to(os.path.relpath(shipped, home))
    except OSError as error:
        raise SettingsError(
            f"the folder for Dagster cannot be made: {error} (set MLOPS_HOME or DAGSTER_HOME)"
        ) from None
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The Dagster instance that the UI and the daemon use as well."""
    import dagster as dg

    prepare_dagster_home(settings)
    return dg.DagsterInstance.get()
