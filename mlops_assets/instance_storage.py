"""Dagster's own records where the settings put them: `dagster.yaml` names this class as its storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.compat import DagsterStorage, sqlite_storage
from mlops_assets.database_urls import in_schema
from mlops_assets.project import open_project

if TYPE_CHECKING:
    from mlops_assets.compat import ConfigurableClassData


class ProjectStorage(DagsterStorage[dg.DagsterInstance]):
    """SQLite under $DAGSTER_HOME, or the PostgreSQL of MLOPS_DATABASE_URL.

    There each dataset has a schema of its own: its assets have the same names as those of another. Every process of
    Dagster reads the settings by itself, so that no password is handed from one to the next.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> DagsterStorage[dg.DagsterInstance]:
        """The storage itself, which is one of Dagster's; this class only chooses it."""
        project = open_project()
        if project.settings.postgres:
            return _postgres(project.settings.postgres, f"dagster_{project.spec.name}", inst_data)
        return sqlite_storage(os.environ.get("DAGSTER_HOME") or str(project.home / "dagster"), inst_data)


def _postgres(url: str, schema: str, inst_data: ConfigurableClassData) -> DagsterStorage[dg.DagsterInstance]:
    from dagster_postgres import DagsterPostgresStorage

    from mlops_assets.resources.databases.database import one_at_a_time

    with one_at_a_time(url, schema):
        return DagsterPostgresStorage(in_schema(url, schema), inst_data=inst_data)
