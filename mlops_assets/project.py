"""The project at hand: settings, dataset and the places it works with, each opened when first used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.errors import SettingsError
from mlops_assets.settings import Settings, environment, read_settings

if TYPE_CHECKING:
    from mlops_assets.core.model_types import ModelType
    from mlops_assets.resources.database import Database
    from mlops_assets.resources.prediction_log import PredictionLog
    from mlops_assets.resources.registry import Registry
    from mlops_assets.resources.storage import Storage
    from mlops_assets.resources.tracking import Tracking
    from mlops_assets.sources import Source


@dataclass(frozen=True)
class Project:
    """What every asset and command needs. Opening a project touches no network and no database."""

    settings: Settings = field(repr=False)
    spec: DatasetSpec = field(repr=False)  # it knows real column names, and logs print what they are given

    @property
    def home(self) -> Path:
        """Folder of this dataset's artefacts."""
        return self.settings.home_path / self.spec.name

    @cached_property
    def source(self) -> Source:
        from mlops_assets.sources import open_source

        cache = self.home / "downloads"
        return open_source(self.spec, cache, timeout=self.settings.http_timeout, retries=self.settings.http_retries)

    @cached_property
    def storage(self) -> Storage:
        from mlops_assets.resources.storage import Storage

        return Storage(self.home)

    @cached_property
    def tracking(self) -> Tracking:
        from mlops_assets.resources.tracking import Tracking

        settings = self.settings
        return Tracking(
            uri=settings.tracking,
            experiment=self.spec.name,
            artifact_root=settings.home_path / "mlartifacts",
            ui_url=settings.mlflow_url,
            dagster_url=settings.dagster_url,
        )

    @cached_property
    def registry(self) -> Registry:
        from mlops_assets.resources.registry import Registry

        return Registry(self.tracking, self.spec.name)

    @cached_property
    def database(self) -> Database:
        from mlops_assets.resources.database import Database

        url = self.settings.database_url
        return Database(url.get_secret_value() if url else f"sqlite:///{self.home / 'mlops.db'}")

    @cached_property
    def prediction_log(self) -> PredictionLog:
        from mlops_assets.resources.prediction_log import PredictionLog

        return PredictionLog(self.database, self.spec)

    @cached_property
    def model_types(self) -> dict[str, ModelType]:
        """Model types by the names that the settings list, in that order."""
        from mlops_assets.core.model_types import resolve_model_type
        from mlops_assets.core.search_spaces import load_search_spaces

        path = self.settings.search_spaces
        extra = load_search_spaces(path) if path else {}
        return {name: resolve_model_type(name, extra) for name in self.settings.model_types}

    @property
    def sklearn_types(self) -> tuple[str, ...]:
        return tuple(name for name, model_type in self.model_types.items() if not model_type.is_xgboost)

    @property
    def xgboost_types(self) -> tuple[str, ...]:
        """The one model type of XGBoost, where the settings list it."""
        names = tuple(name for name, model_type in self.model_types.items() if model_type.is_xgboost)
        if len(names) > 1:
            raise SettingsError(f"MLOPS_MODEL_TYPES lists {' and '.join(names)}, which are all XGBoost: keep one")
        return names


def open_project(env: Mapping[str, str] | None = None) -> Project:
    """The project that the environment describes.

    Raises SettingsError or SpecError, with one message that names what is wrong.
    """
    env = environment() if env is None else env
    settings = read_settings(env)
    moved = settings.source_uri.get_secret_value() if settings.source_uri else None
    return Project(settings, load_dataset(settings.dataset, env, moved))
