"""The model registry: versions of one model, which of them is champion, and which ones were."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlops_assets.errors import TrackingError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion

    from mlops_assets.core.model.model import Model
    from mlops_assets.resources.mlflow.tracking import TrackedRun, Tracking


CHAMPION = "champion"
RECIPE_TAG = "recipe"
LEARNT_TAG = "learnt_months"  # what a version has learnt from; `months` is its whole window
PROMOTED, ROLLED_BACK, PENDING = "promoted/", "rolled_back/", "pending/"
_STAMP = "%Y-%m-%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Promotion:
    """A time as champion: `version` was it from `since` to `until`, which is None for the present one."""

    version: int
    model_type: str
    since: datetime
    until: datetime | None
    reason: str


@dataclass(frozen=True)
class Change:
    """One change of champion."""

    version: int
    at: datetime
    reason: str
    is_rollback: bool

    @property
    def tag_key(self) -> str:
        return (ROLLED_BACK if self.is_rollback else PROMOTED) + self.at.astimezone(UTC).strftime(_STAMP)


def pending_keys(tags: Mapping[str, str]) -> list[str]:
    """Keys of changes that were begun and not finished."""
    return [key for key in tags if key.startswith(PENDING)]


def changes_of(tags_by_version: Mapping[int, Mapping[str, str]], champion: int | None) -> list[Change]:
    """Changes of champion, oldest first; one that is pending counts where its version holds the alias."""
    changes = set()
    for version, tags in tags_by_version.items():
        for key, reason in tags.items():
            done = key.removeprefix(PENDING) if version == champion else key
            for kind in (PROMOTED, ROLLED_BACK):
                if done.startswith(kind):
                    at = datetime.strptime(done.removeprefix(kind), _STAMP).replace(tzinfo=UTC)
                    changes.add(Change(version, at, reason, kind == ROLLED_BACK))
    return sorted(changes, key=lambda change: change.at)


def line_of_champions(changes: Iterable[Change]) -> list[int]:
    """Champions up to the present one; a rollback takes those after its version off the line."""
    line: list[int] = []
    for change in changes:
        while change.is_rollback and line and line[-1] != change.version:
            line.pop()
        if not line or line[-1] != change.version:
            line.append(change.version)
    return line


@dataclass(frozen=True)
class Version:
    """A registered version of the model; `run_id` is empty where it was registered by hand, without a run."""

    number: int
    run_id: str
    model_type: str
    tags: dict[str, str]
    url: str
    created: datetime


class Registry:
    """The versions of the registered model `model_name`. All methods raise TrackingError."""

    def __init__(self, tracking: "Tracking", model_name: str) -> None:
        self.tracking = tracking
        self.model_name = model_name

    def log(
        self,
        run: "TrackedRun",
        model_folder: Path,
        *,
        example: "pd.DataFrame",
        prediction_name: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float | None],
        tags: Mapping[str, str],
    ) -> Version:
        """Log a saved model to the run, once, and register it as a new version with these tags.

        `example`: a few rows of the model's inputs, for its signature. `tags` hold `model_type`.
        """
        from mlops_assets.resources.mlflow.models import log_model

        run.log(params=params, metrics=metrics)
        doing = f"register a version of '{self.model_name}'"
        with self.tracking.errors(doing):
            self._create_model()
            logged = log_model(run.run_id, model_folder, example, prediction_name)
            registered = run.client.create_model_version(
                self.model_name, logged.model_uri, run.run_id, tags=dict(tags), model_id=logged.model_id
            )
            # What MLflow's pages follow from a logged model to its registered version.
            link = [{"name": self.model_name, "version": int(registered.version)}]
            run.client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": json.dumps(link)})
        return self.version(int(registered.version))

    def attach(self, run: "TrackedRun", run_id: str, model: "Model") -> None:
        """Log a model to another run, such as a trial of `run`, without registering it."""
        from mlops_assets.resources.mlflow.models import log_model

        with TemporaryDirectory() as folder, self.tracking.errors("log a model"):
            model.save(Path(folder))
            log_model(run_id, Path(folder))

    def champion(self) -> Version | None:
        number = self._champion_number()
        return self.version(number) if number else None

    def version(self, number: int) -> Version:
        with self.tracking.errors(f"find version {number} of '{self.model_name}'"):
            return self._version(self.tracking.client.get_model_version(self.model_name, str(number)))

    def versions(self) -> dict[int, Version]:
        """All versions by number."""
        return {version.number: version for version in self._versions()}

    def newest(self, count: int) -> tuple[Version, ...]:
        """The versions registered last, newest first."""
        with self.tracking.errors(f"list the versions of '{self.model_name}'"):
            page = self.tracking.client.search_model_versions(
                f"name = '{self.model_name}'", order_by=["version_number DESC"], max_results=count
            )
            return tuple(map(self._version, page))

    def made_from(self, recipe: str) -> Version | None:
        """The newest version with this recipe, such as one whose run was killed before it could record it."""
        with self.tracking.errors(f"look for a version of '{self.model_name}'"):
            query = f"name = '{self.model_name}' and tags.{RECIPE_TAG} = '{recipe}'"
            versions = self.tracking.client.search_model_versions(query)
            return max(map(self._version, versions), key=lambda version: version.number, default=None)

    def folder(self, number: int) -> Path:
        """Where a version's saved model lies on this machine; fetched once if it lies elsewhere. Read-only."""
        from mlops_assets.resources.mlflow.models import local_folder

        with self.tracking.errors(f"fetch version {number} of '{self.model_name}'"):
            registered = self.tracking.client.get_model_version(self.model_name, str(number))
            location = self.tracking.client.get_model_version_download_uri(self.model_name, str(number))
            name = (registered.source or str(number)).rpartition("/")[2]
            return local_folder(location, self.tracking.artifact_root / "fetched" / name)

    def load(self, number: int) -> "Model":
        """A version's model; raises ModelError where it is damaged."""
        from mlops_assets.core.model.model import load_model

        return load_model(self.folder(number))

    def promote(self, number: int, *, reason: str, at: datetime) -> None:
        """Make a version the champion. Promoting the champion again changes nothing.

        The alias moves between two tags, so that after a kill at any step the next promotion sets things right.
        """
        self._crown(number, reason, at, is_rollback=False)

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        """Add tags to a version; those of the same name are replaced."""
        with self.tracking.errors(f"tag version {number} of '{self.model_name}'"):
            for key, value in tags.items():
                self.tracking.client.set_model_version_tag(self.model_name, str(number), key, value)

    def rollback(self, at: datetime) -> tuple[Version, Version]:
        """Make the champion before the present one champion again; gives (the present one, the one before)."""
        current = self.champion()
        if current is None:
            raise TrackingError(f"'{self.model_name}' has no champion, so there is nothing to roll back")
        line = line_of_champions(self._changes(current))
        if len(line) < 2:
            raise TrackingError(f"version {current.number} is the first champion: there is none before it")
        self._crown(line[-2], f"Rolled back from version {current.number}.", at, is_rollback=True)
        return current, self.version(line[-2])

    def history(self) -> tuple[Promotion, ...]:
        """Who was champion when, newest first."""
        model_types = {version.number: version.model_type for version in self._versions()}
        changes = self._changes(self.champion())
        ends = [*(change.at for change in changes[1:]), None]
        promotions = [
            Promotion(change.version, model_types[change.version], change.at, end, change.reason)
            for change, end in zip(changes, ends, strict=False)  # without any change there is one end too many
        ]
        return tuple(reversed(promotions))

    def _crown(self, number: int, reason: str, at: datetime, *, is_rollback: bool) -> None:
        self.version(number)
        champion = self.champion()
        changes = self._settle(champion)
        if champion and champion.number == number:
            return
        if changes:  # clocks of two machines differ, the order of changes must not
            at = max(at, changes[-1].at + timedelta(microseconds=1))
        key = Change(number, at, reason, is_rollback).tag_key
        client, name, version = self.tracking.client, self.model_name, str(number)
        with self.tracking.errors(f"make version {number} of '{name}' the champion"):
            client.set_model_version_tag(name, version, PENDING + key, reason)
            client.set_registered_model_alias(name, CHAMPION, version)
            client.set_model_version_tag(name, version, key, reason)
            client.delete_model_version_tag(name, version, PENDING + key)

    def _settle(self, champion: Version | None) -> list[Change]:
        """Record how the champion became it, where that is not yet recorded; forget what was begun and cut off."""
        client, name = self.tracking.client, self.model_name
        changes = self._changes(champion)
        with self.tracking.errors(f"settle the champion of '{name}'"):
            if champion and (key := changes[-1].tag_key) not in champion.tags:
                client.set_model_version_tag(name, str(champion.number), key, changes[-1].reason)
            for version in self._versions():
                for key in pending_keys(version.tags):
                    client.delete_model_version_tag(name, str(version.number), key)
        return changes

    def _changes(self, champion: Version | None) -> list[Change]:
        """Changes of champion, oldest first, up to the one that holds the alias."""
        tags = {version.number: version.tags for version in self._versions()}
        changes = changes_of(tags, champion.number if champion else None)
        if champion and (not changes or changes[-1].version != champion.number):
            since = max([champion.created, *(change.at for change in changes)])
            changes.append(Change(champion.number, since, "The alias was moved by hand.", is_rollback=False))
        return changes

    def _create_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.tracking.client.create_registered_model(self.model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _champion_number(self) -> int | None:
        with self.tracking.errors(f"find the champion of '{self.model_name}'"):
            from mlflow.exceptions import MlflowException

            try:
                aliases = self.tracking.client.get_registered_model(self.model_name).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
        return int(aliases[CHAMPION]) if CHAMPION in aliases else None

    def _versions(self) -> list[Version]:
        versions: list[Version] = []
        token = None
        with self.tracking.errors(f"list the versions of '{self.model_name}'"):
            while True:
                page = self.tracking.client.search_model_versions(f"name = '{self.model_name}'", page_token=token)
                versions += map(self._version, page)
                if not (token := page.token):
                    return versions

    def _version(self, registered: "ModelVersion") -> Version:
        number = int(registered.version)
        return Version(
            number=number,
            run_id=registered.run_id or "",
            model_type=registered.tags.get("model_type", "unknown"),
            tags=dict(registered.tags),
            url=self.tracking.model_version_url(self.model_name, number),
            created=datetime.fromtimestamp(registered.creation_timestamp / 1000, UTC),
        )
