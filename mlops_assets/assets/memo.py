"""How an asset is made: once for each recipe, its result recorded with all that is needed to know that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.recipes import written_now
from mlops_assets.assets.records import BYTES, CHAMPION_VERSION, CONTENT, PATH, RECIPE, VERSION, Record, Records
from mlops_assets.core.fingerprint import Recipe, changes
from mlops_assets.core.targets.metrics import IN_THE_UNIT
from mlops_assets.errors import (
    ClusterUnreachable,
    DataError,
    MlopsError,
    SourceUnreachable,
    StorageUnreachable,
    TrackingError,
)
from mlops_assets.facts import Hidden, Quantity, entries
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.prepare.lineage import Lineage
    from mlops_assets.resources.artefacts.local import Stored


def column_lineage(upstream: str, lineage: Lineage) -> dict[str, dg.MetadataValue]:
    """Which columns of one asset upstream each column is made from."""
    key = dg.AssetKey(upstream)
    columns = {name: [dg.TableColumnDep(key, alias) for alias in aliases] for name, aliases in lineage.items()}
    return {"dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(columns))}


def with_units(numbers: Mapping[str, float], unit: str) -> dict[str, Quantity]:
    """Scores by name, such as `validation_rmse`, each in the target's unit where it is in that."""
    return {name: Quantity(it, unit if name.rpartition("_")[2] in IN_THE_UNIT else "") for name, it in numbers.items()}


_WORTH_A_RETRY = (SourceUnreachable, StorageUnreachable, ClusterUnreachable, TrackingError)
INTERRUPTED = "canceled: it was stopped before its end, and the next one goes on where it was"


@dataclass(frozen=True)
class Made:
    """What an asset made: a digest of its content, where it lies, and facts as `mlops_assets.facts` takes them."""

    content: str
    path: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def clear_failures(project: Project) -> Iterator[None]:
    """An error fails the step with its message alone; only a failure that may pass is retried.

    The event log keeps what it is given for ever: an unexpected error keeps its traceback and loses its chain.
    """
    redact = project.spec.redact
    try:
        yield
    except dg.Failure:
        raise
    except MlopsError as error:
        raise dg.Failure(redact(str(error)), allow_retries=isinstance(error, _WORTH_A_RETRY)) from None
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        # A retry policy would make Dagster try the interrupted step again: it could not be stopped.
        raise dg.Failure(INTERRUPTED, allow_retries=False) from None
    except Exception as error:
        failure = dg.Failure(redact(f"{type(error).__name__}: {error}"), allow_retries=False)
        raise failure.with_traceback(error.__traceback__) from None


def why_failed(events: Sequence[dg.DagsterEvent]) -> str:
    """Why a run ended early: its first step failure, an expected error by its own message; empty if it did not."""
    for event in events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data:
                return data.user_failure_data.description or "it failed without saying why"
            if data.error is None:
                return "it failed without saying why"
            error = data.error.cause or data.error
            if error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
                return INTERRUPTED
            return f"{error.cls_name}: {error.message.strip().splitlines()[-1]}"
    for event in events:
        if event.event_type in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED):
            return event.message or "the run ended without saying why"
    return ""


def why_stale(project: Project, record: Record | None, recipe: Recipe) -> tuple[str, ...]:
    """Reasons to make it again; empty where nothing has changed."""
    if record is None:
        return ("never made",)
    if record.path and not project.storage.exists(record.path):
        return (f"{record.path} is gone",)
    if record.path and not project.storage.has_size(record.path, record.value(BYTES)):
        return (f"{record.path} is damaged: it is not of the size that was written",)
    if reason := _why_gone_from_mlflow(project, record):
        return (reason,)
    return changes(written_now(project, record.recipe), recipe)


def _why_gone_from_mlflow(project: Project, record: Record) -> str | None:
    """A reason where the model that an asset has made was removed by hand, or its files were."""
    for name in (VERSION, CHAMPION_VERSION):
        if (number := record.value(name)) and (reason := project.registry.why_gone(number)):
            return reason
    return project.registry.why_no_champion() if record.value(CHAMPION_VERSION) else None


def repeated(record: Record, reason: str) -> dg.MaterializeResult:
    """A materialisation recorded once more: nothing was computed, for a reason."""
    metadata: dict[str, Any] = {**record.metadata, "recomputed": False, "reason": reason}
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(record.content))


@dataclass(frozen=True)
class Making:
    """One materialisation under way: what is made, and the reasons to make it again."""

    context: dg.AssetExecutionContext
    project: Project
    partition: str | None
    recipe: Recipe
    record: Record | None
    reasons: tuple[str, ...]

    @property
    def unchanged(self) -> bool:
        return not self.reasons

    @property
    def newest(self) -> Record:
        """The newest materialisation, which is there where nothing has changed."""
        if self.record is None:
            raise DataError("it was never made")
        return self.record

    def again(self) -> dg.MaterializeResult:
        """The newest materialisation once more: nothing was computed, and it says so."""
        record = self.newest
        reason = f"nothing changed since {record.made_at:%Y-%m-%d %H:%M} UTC"
        self.context.log.info(f"{record.asset}: {reason}; not computed again")
        return repeated(record, reason)

    @contextmanager
    def discarding(self, stored: Stored | None) -> Iterator[None]:
        """A DataError removes what was stored and is now not recorded, unless the newest record names it."""
        try:
            yield
        except DataError:
            if stored and not (self.record and self.record.path == stored.path):
                self.project.storage.remove(stored.path)
            raise

    def done(self, made: Made) -> dg.MaterializeResult:
        """The result to record; artefacts that no record can ask for any more are removed."""
        facts = dict(made.facts) | {"recomputed": True, "reason": "; ".join(self.reasons)}
        facts |= {RECIPE: Hidden(dict(self.recipe.parts)), CONTENT: Hidden(made.content)}
        if made.path:
            facts |= {PATH: Hidden(made.path), BYTES: Hidden(self.project.storage.size(made.path))}
            keep = {made.path} | ({self.record.path} if self.record and self.record.path else set())
            asset = self.context.asset_key.to_user_string()
            self.project.storage.prune(asset, self.partition or asset, keep)
        return dg.MaterializeResult(metadata=entries(facts), data_version=dg.DataVersion(made.content))


def begin(
    context: dg.AssetExecutionContext,
    project: Project,
    records: Records,
    recipe: Recipe,
    partition: str | None = None,
) -> Making:
    """Compare the recipe with that of the newest materialisation, and log what has changed."""
    asset = context.asset_key.to_user_string()
    record = records.latest(asset, partition)
    making = Making(context, project, partition, recipe, record, why_stale(project, record, recipe))
    if not making.unchanged:
        context.log.info(f"{f'{asset}[{partition}]' if partition else asset}: {'; '.join(making.reasons)}")
    return making
