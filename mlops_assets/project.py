"""The project at hand: settings, dataset and the places it works with, each opened when first used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname
from zoneinfo import ZoneInfo

from mlops_assets.core.learners.ensemble import ENSEMBLE, FEWEST
from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.errors import SettingsError
from mlops_assets.settings import Settings, environment, read_settings

if TYPE_CHECKING:
    from mlops_assets.core.learners.model_types import ModelType
    from mlops_assets.core.search.trials import TrialStore
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.resources.artefacts.local import Storage
    from mlops_assets.resources.artefacts.object_folder import ObjectFolder
    from mlops_assets.resources.artefacts.remote import RemoteStorage, StoredFolder
    from mlops_assets.resources.artefacts.requested_predictions import RequestedAnswers
    from mlops_assets.resources.databases.database import Database
    from mlops_assets.resources.databases.prediction_log import PredictionLog
    from mlops_assets.resources.mlflow.registry import Registry
    from mlops_assets.resources.mlflow.tracking import Tracking
    from mlops_assets.sources import Source


@dataclass(frozen=True)
class Project:
    """What every asset and command needs. Opening a project touches no network and no database."""

    settings: Settings = field(repr=False)
    spec: DatasetSpec = field(repr=False)  # it knows real column names, and logs print what they are given

    @property
    def home(self) -> Path:
        """Folder of what this machine keeps for the dataset."""
        return self.settings.home_path / self.spec.name

    @cached_property
    def source(self) -> Source:
        from mlops_assets.sources import open_source

        cache = self.home / "downloads"
        return open_source(
            self.spec,
            cache,
            timeout=self.settings.http_timeout,
            retries=self.settings.http_retries,
            now=lambda: datetime.now(ZoneInfo(self.zone)).replace(tzinfo=None),
        )

    @property
    def zone(self) -> str:
        """The time zone whose clock says when a period is over: that of the time column, else that of the schedules."""
        time = self.spec.time
        return (time and self.spec.columns[time.column].timezone) or self.settings.timezone

    @cached_property
    def objects(self) -> ObjectFolder | None:
        """This dataset's part of the store that MLOPS_STORAGE names; none where artefacts are files."""
        from mlops_assets.resources.artefacts.object_folder import ObjectFolder

        url = self.settings.storage
        return ObjectFolder(f"{url}/{self.spec.name}") if url and not url.startswith("file:") else None

    @cached_property
    def storage(self) -> Storage | RemoteStorage:
        from mlops_assets.resources.artefacts.local import Storage
        from mlops_assets.resources.artefacts.remote import RemoteStorage

        return RemoteStorage(self.objects, self.home / "copies") if self.objects else Storage(self._files)

    @cached_property
    def requested_answers(self) -> RequestedAnswers:
        """Answers to rows that were sent with a run."""
        from mlops_assets.resources.artefacts.requested_predictions import FOLDER, RequestedAnswers

        return RequestedAnswers(self._files / FOLDER, self.objects and self.objects.child(FOLDER))

    def stored_folder(self, path: str) -> StoredFolder:
        """A folder of the storage that processes of other machines can open too."""
        return self.opened_folder(self.storage.local_folder(path), path)

    def opened_folder(self, local: Path, path: str) -> StoredFolder:
        """The same of one that was opened on this machine, and checked then."""
        from mlops_assets.resources.artefacts.remote import StoredFolder

        return StoredFolder(local, path, self.spec.name, self.objects.url if self.objects else None)

    def trial_store(self, name: str, identity: str) -> TrialStore:
        """The trials of a search for a model type; `identity` names all that they depend on."""
        from mlops_assets.core.search.trials import TrialStore
        from mlops_assets.resources.artefacts.remote import SharedTrialStore

        place = f"searches/{name}-{identity[:12]}"
        if self.objects:
            return SharedTrialStore(self.home / place, identity, self.objects.child(place))
        return TrialStore(self._files / place, identity)

    @property
    def _files(self) -> Path:
        """Folder of this dataset's artefacts where they are files: the home folder, or one that machines share."""
        url = self.settings.storage or ""
        return Path(url2pathname(urlsplit(url).path), self.spec.name) if url.startswith("file:") else self.home

    @cached_property
    def tracking(self) -> Tracking:
        from mlops_assets.resources.mlflow.tracking import Tracking

        settings = self.settings
        return Tracking(
            uri=settings.tracking,
            experiment=self.spec.name,
            artifact_root=settings.home_path / "mlartifacts",
            ui_url=settings.mlflow_url,
            dagster_url=settings.dagster_url,
            artifact_url=settings.artefacts_url,
            about=self.spec.redact(f"{self.spec.name}: {self.spec.description}".strip(": \n")),
        )

    @cached_property
    def registry(self) -> Registry:
        from mlops_assets.resources.mlflow.registry import Registry

        key = self.settings.signing_key
        return Registry(
            self.tracking, self.spec.name, key.get_secret_value() if key else None, self.settings.verify_key
        )

    @cached_property
    def database(self) -> Database:
        from mlops_assets.resources.databases.database import Database

        url = self.settings.database_url
        return Database(url.get_secret_value() if url else f"sqlite:///{self.home / 'mlops.db'}")

    @cached_property
    def prediction_log(self) -> PredictionLog:
        from mlops_assets.resources.databases.prediction_log import PredictionLog

        return PredictionLog(self.database, self.spec)

    @cached_property
    def model_types(self) -> dict[str, ModelType]:
        """Model types to fit, by the names that the settings list; else the usual ones of the target's kind."""
        from mlops_assets.core.learners.model_types import resolve_model_type
        from mlops_assets.core.learners.search_spaces import load_search_spaces

        path = self.settings.search_spaces
        extra = load_search_spaces(path) if path else {}
        found = {
            name: resolve_model_type(name, extra, self.target).constrained(self.spec.monotone)
            for name in self.listed_types
            if name != ENSEMBLE
        }
        if self.has_ensemble and len(found) < FEWEST:
            raise SettingsError(f"MLOPS_MODEL_TYPES: {ENSEMBLE} blends the others: list {FEWEST} or more beside it")
        return found

    @property
    def has_ensemble(self) -> bool:
        """Whether what was fitted is blended too."""
        return ENSEMBLE in self.listed_types

    @property
    def listed_types(self) -> tuple[str, ...]:
        """All that the settings list, an ensemble included; else the usual ones of the target's kind.

        Of these only such as can keep what the dataset calls monotone.
        """
        from mlops_assets.core.learners.model_types import keeps_monotone, shipped_model_types

        usual, shipped = self.target.model_types, shipped_model_types()
        if self.spec.monotone:
            usual = tuple(name for name in usual if keeps_monotone(shipped[name].import_path or name))
        return self.settings.model_types or usual

    @cached_property
    def target(self) -> TargetKind:
        """What kind of thing is predicted."""
        from mlops_assets.core.targets.kinds import target_of

        return target_of(self.spec.target)

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
