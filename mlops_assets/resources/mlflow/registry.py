"""The model registry: versions of one model, which of them is champion, and which ones were."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlops_assets.addresses import mlflow_version_path
from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow.promotions import (
    PENDING,
    SEAL,
    Change,
    Promotion,
    broken_seals,
    changes_of,
    line_of_champions,
    pending_keys,
    seal_of,
)
from mlops_assets.resources.mlflow.tables import registered_alias, registered_location, sqlite_file
from mlops_assets.resources.mlflow.version import Version

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion

    from mlops_assets.core.model.model import Model
    from mlops_assets.resources.mlflow.tracking import TrackedRun, Tracking


CHAMPION = "champion"
RECIPE_TAG = "recipe"
LEARNT_TAG = "learnt_periods"  # what a version has learnt from; `periods` is its whole window
_OLD_TAGS = {"months": "periods", "learnt_months": LEARNT_TAG}  # as they were called until 0.1
PROPOSED = "proposed"  # the alias of a version that has passed the gate and waits for a person
_REMEMBERED_SECONDS = 60.0
_DESCRIBED = 5_000  # characters that MLflow keeps of a description


class Registry:
    """The versions of the registered model `model_name`. All methods raise TrackingError.

    `signing_key` signs what is logged; where there are `verify_keys`, nothing is loaded that none of them has signed.
    """

    def __init__(
        self, tracking: "Tracking", model_name: str, signing_key: str | None = None, verify_keys: tuple[str, ...] = ()
    ) -> None:
        self.tracking = tracking
        self.model_name = model_name
        self.verify_keys = verify_keys
        self.rehearse: Callable[[Path], None] | None = None  # tries a model's folder before it is loaded
        self._signing_key = signing_key
        self._kept: tuple[dict[int, Version], dict[int, Model]] | None = None
        self._locations: tuple[float, dict[int, str]] = (-_REMEMBERED_SECONDS, {})

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
        about: str = "",
    ) -> Version:
        """Log a saved model to the run, once, and register it as a new version with these tags; `about` describes it.

        `example`: a few rows of the model's inputs, for its signature. `tags` hold `model_type`.
        """
        from mlops_assets.resources.mlflow.models import log_model

        self._sign(model_folder)
        run.log(params=params, metrics=metrics)
        doing = f"register a version of '{self.model_name}'"
        with self.tracking.errors(doing):
            self._create_model()
            logged = log_model(run.run_id, model_folder, example, prediction_name)
            registered = run.client.create_model_version(
                self.model_name,
                logged.model_uri,
                run.run_id,
                tags=dict(tags),
                model_id=logged.model_id,
                description=about,
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
            self._sign(Path(folder))
            log_model(run_id, Path(folder))

    def champion(self) -> Version | None:
        number = self._holder(CHAMPION)
        return self.version(number) if number else None

    def version(self, number: int) -> Version:
        versions: dict[int, Version] = self._kept[0] if self._kept else {}
        if number not in versions:
            with self.tracking.errors(f"find version {number} of '{self.model_name}'"):
                found = self.tracking.client.get_model_version(self.model_name, str(number))
            versions[number] = self._version(found)
        return versions[number]

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
        """The newest version with this recipe, such as one whose run was killed before it could record it.

        One whose files are gone does not count.
        """
        with self.tracking.errors(f"look for a version of '{self.model_name}'"):
            query = f"name = '{self.model_name}' and tags.{RECIPE_TAG} = '{recipe}'"
            found = map(self._version, self.tracking.client.search_model_versions(query))
            whole = (version for version in found if self.why_gone(version.number) is None)
            return max(whole, key=lambda version: version.number, default=None)

    def why_gone(self, number: int) -> str | None:
        """A reason where a version that was registered is not there any more, or its files are not; else None.

        MLflow's database is asked, where it is a file, without loading MLflow. Where a server does not answer, what
        was there is taken to be there: whoever needs it hears of that.
        """
        file = sqlite_file(self.tracking.uri)
        if file:
            location = registered_location(file, self.model_name, number)
            if location and not _is_there(location):
                with suppress(TrackingError):
                    _ = self.tracking.experiment_id  # which learns where the files are after a move
                location = registered_location(file, self.model_name, number)
        else:
            location = self._remembered_locations(number).get(number)
        if location is None:
            return f"version {number} of '{self.model_name}' is gone from MLflow"
        return None if _is_there(location) else f"the files of version {number} of '{self.model_name}' are gone"

    def why_no_champion(self) -> str | None:
        """A reason where no version holds the alias `champion`; else None. Asked as `why_gone` asks."""
        file = sqlite_file(self.tracking.uri)
        try:
            number = registered_alias(file, self.model_name, CHAMPION) if file else self._holder(CHAMPION)
        except TrackingError:
            return None
        return None if number else f"no version of '{self.model_name}' holds the alias '{CHAMPION}' any more"

    def whole_champion(self) -> Version | None:
        """The champion, unless its files are gone."""
        champion = self.champion()
        return champion if champion and self.why_gone(champion.number) is None else None

    def _remembered_locations(self, number: int) -> dict[int, str]:
        """Where the files of versions are, as a server said within the last minute; that it has one stays true."""
        asked_at, locations = self._locations
        if time.monotonic() - asked_at > _REMEMBERED_SECONDS or (locations and number not in locations):
            try:
                locations = dict.fromkeys((version.number for version in self._versions()), "")
            except TrackingError:
                locations = {}
            self._locations = time.monotonic(), locations
        return locations or {number: ""}

    def folder(self, number: int) -> Path:
        """Where a version's saved model lies on this machine; fetched once if it lies elsewhere. Read-only."""
        from mlops_assets.resources.mlflow.models import local_folder

        with self.tracking.errors(f"fetch version {number} of '{self.model_name}'"):
            registered = self.tracking.client.get_model_version(self.model_name, str(number))
            location = self.tracking.client.get_model_version_download_uri(self.model_name, str(number))
            name = (registered.source or str(number)).rpartition("/")[2]
            return local_folder(location, self.tracking.artifact_root / "fetched" / name)

    def load(self, number: int) -> "Model":
        """A version's model; raises ModelError where it is damaged, or not signed as it must be."""
        from mlops_assets.core.model.model import load_model

        models: dict[int, Model] = self._kept[1] if self._kept else {}
        if number not in models:
            folder = self.folder(number)
            if self.rehearse:
                self.rehearse(folder)
            models[number] = load_model(folder, self.verify_keys)
        return models[number]

    @contextmanager
    def keeping_loaded(self) -> Iterator[None]:
        """Let a version that is asked for again and again, as for each period of a run, be found and loaded once."""
        self._kept = {}, {}
        try:
            yield
        finally:
            self._kept = None

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

    def describe(self, number: int, text: str) -> None:
        """Replace what MLflow's page of a version says of it, in Markdown; what is too long for it is cut."""
        with self.tracking.errors(f"describe version {number} of '{self.model_name}'"):
            self.tracking.client.update_model_version(self.model_name, str(number), description=text[:_DESCRIBED])

    def propose(self, number: int) -> None:
        """Give a version the alias `proposed`, which waits for a person; one that had it before loses it."""
        with self.tracking.errors(f"propose version {number} of '{self.model_name}'"):
            self.tracking.client.set_registered_model_alias(self.model_name, PROPOSED, str(number))

    def proposed(self) -> Version | None:
        number = self._holder(PROPOSED)
        return self.version(number) if number else None

    def approve(self, number: int, *, who: str, why: str, at: datetime) -> Version:
        """Make the proposed version the champion, with who said so and why in its history."""
        version = self.proposed()
        if version is None or version.number != number:
            waits = f"version {version.number} is" if version else "no version is"
            raise TrackingError(f"version {number} of '{self.model_name}' is not proposed: {waits}")
        verdict = version.tags.get("verdict", "Proposed.")
        self._crown(number, f"{verdict} Approved by {who}: {why}", at, is_rollback=False)
        with self.tracking.errors(f"take the alias '{PROPOSED}' from version {number}"):
            self.tracking.client.delete_registered_model_alias(self.model_name, PROPOSED)
        return version

    def verify_history(self) -> tuple[int, list[Change]]:
        """How many changes of champion are sealed, and those that are not as they were sealed."""
        champion, versions = self.champion(), self._versions()
        seals = {
            key.removeprefix(SEAL): seal
            for version in versions
            for key, seal in version.tags.items()
            if key.startswith(SEAL)
        }
        return len(seals), broken_seals(self._changes(champion), seals)

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
        change = Change(number, at, reason, is_rollback)
        key, seal = change.tag_key, seal_of(change, self._last_seal(changes))
        client, name, version = self.tracking.client, self.model_name, str(number)
        with self.tracking.errors(f"make version {number} of '{name}' the champion"):
            client.set_model_version_tag(name, version, PENDING + key, reason)
            client.set_registered_model_alias(name, CHAMPION, version)
            client.set_model_version_tag(name, version, SEAL + key, seal)
            client.set_model_version_tag(name, version, key, reason)
            client.delete_model_version_tag(name, version, PENDING + key)

    def _settle(self, champion: Version | None) -> list[Change]:
        """Record how the champion became it, where that is not yet recorded; forget what was begun and cut off."""
        client, name = self.tracking.client, self.model_name
        changes = self._changes(champion)
        with self.tracking.errors(f"settle the champion of '{name}'"):
            if champion and (key := changes[-1].tag_key) not in champion.tags:
                seal = seal_of(changes[-1], self._last_seal(changes[:-1]))
                client.set_model_version_tag(name, str(champion.number), SEAL + key, seal)
                client.set_model_version_tag(name, str(champion.number), key, changes[-1].reason)
            for version in self._versions():
                for key in pending_keys(version.tags):
                    client.delete_model_version_tag(name, str(version.number), key)
        return changes

    def _last_seal(self, changes: Sequence[Change]) -> str:
        """The seal of the newest of these changes that has one."""
        tags = {version.number: version.tags for version in self._versions()}
        seals = (tags[change.version].get(SEAL + change.tag_key, "") for change in reversed(changes))
        return next(filter(None, seals), "")

    def _changes(self, champion: Version | None) -> list[Change]:
        """Changes of champion, oldest first, up to the one that holds the alias."""
        tags = {version.number: version.tags for version in self._versions()}
        changes = changes_of(tags, champion.number if champion else None)
        if champion and (not changes or changes[-1].version != champion.number):
            since = max([champion.created, *(change.at for change in changes)])
            changes.append(Change(champion.number, since, "The alias was moved by hand.", is_rollback=False))
        return changes

    def _sign(self, folder: Path) -> None:
        """Sign a saved model, where there is a key for that."""
        from mlops_assets.core.model.files import sign

        if self._signing_key:
            sign(folder, self._signing_key)

    def _create_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.tracking.client.create_registered_model(self.model_name, description=self.tracking.about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _holder(self, alias: str) -> int | None:
        """The version that holds an alias."""
        with self.tracking.errors(f"find the {alias} of '{self.model_name}'"):
            from mlflow.exceptions import MlflowException

            try:
                aliases = self.tracking.client.get_registered_model(self.model_name).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
        return int(aliases[alias]) if alias in aliases else None

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
            tags={_OLD_TAGS.get(name, name): value for name, value in registered.tags.items()},
            page=mlflow_version_path(self.model_name, number),
            created=datetime.fromtimestamp(registered.creation_timestamp / 1000, UTC),
        )


def _is_there(location: str) -> bool:
    """Whether a model's files are where MLflow says; of places that are not on this machine that is taken to be so."""
    parts = urlsplit(location)
    if parts.scheme not in ("", "file") or not parts.path:
        return True
    folder = Path(url2pathname(parts.path))
    return (folder / "MLmodel").exists() and any(item.is_file() for item in (folder / "data").rglob("*"))
