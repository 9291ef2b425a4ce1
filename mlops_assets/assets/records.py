"""What was made last: the newest materialisation of an asset, read from Dagster's event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import dagster as dg

from mlops_assets.core.fingerprint import Recipe
from mlops_assets.dataset.old_keys import renewed_settings
from mlops_assets.errors import DataError
from mlops_assets.facts import RECORD, Hidden, entries, facts_of

if TYPE_CHECKING:
    from mlops_assets.resources.mlflow.registry import Registry
    from mlops_assets.resources.mlflow.version import Version

RECIPE, CONTENT, PATH, BYTES = "recipe", "content", "path", "bytes"
VERSION, CHAMPION_VERSION = "version", "champion_version"  # numbers of versions that an asset has registered
REIGNS = "reigns"
SKIPPED = "skipped"  # why a period was not made, where the source does not have it
_AT_ONCE = 500  # records in one query


@dataclass(frozen=True)
class Record:
    """A materialisation: what it was made from (`recipe`), and what came out (`content`, a digest)."""

    asset: str
    partition: str | None
    recipe: Recipe
    content: str
    path: str | None
    metadata: Mapping[str, dg.MetadataValue]
    run_id: str
    made_at: datetime

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Its metadata as plain Python, by name."""
        return facts_of(self.metadata)

    @property
    def partition_key(self) -> str:
        """The partition that it is of; raises DataError for an asset without partitions."""
        if self.partition is None:
            raise DataError(f"{self.asset} has no partitions")
        return self.partition

    @property
    def stored_path(self) -> str:
        """Where its rows or files are; raises DataError for an asset that keeps none."""
        if self.path is None:
            raise DataError(f"{self.asset} keeps nothing in the storage")
        return self.path

    def value(self, name: str) -> Any:
        """A fact; None where it is absent."""
        return self.facts.get(name)


class Records:
    """The newest materialisations that this project made, of each asset read at once and then remembered.

    What is made meanwhile is seen after `forget`, or through another object.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._whole: dict[str, Record | None] = {}
        self._by_partition: dict[str, dict[str, Record | str]] = {}
        self._stale: dict[str, set[str]] = {}

    def latest(self, asset: str, partition: str | None = None) -> Record | None:
        """The newest materialisation of an asset, or of one partition of it; None where there is none."""
        if partition is not None:
            record = self._partitions(asset).get(partition)
            return record if isinstance(record, Record) else None
        if asset not in self._whole:
            entries = self._instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
            self._whole[asset] = _record(asset, entries[0]) if entries else None
        return self._whole[asset]

    def newest(self, asset: str, partition: str | None = None) -> Record:
        """As `latest`, or a DataError that says what to materialise first."""
        record = self.latest(asset, partition)
        if record is None:
            name = f"{asset}[{partition}]" if partition else asset
            raise DataError(f"{name} has not been materialised: do that first")
        return record

    def all_latest(self, asset: str) -> dict[str, Record]:
        """The newest materialisation of each partition, by partition, in order."""
        return {name: it for name, it in sorted(self._partitions(asset).items()) if isinstance(it, Record)}

    def why_skipped(self, asset: str, partition: str) -> str | None:
        """The reason for which a period was not made, where that is the last thing that was recorded of it."""
        reason = self._partitions(asset).get(partition)
        return reason if isinstance(reason, str) else None

    def forget(self, asset: str, partition: str) -> None:
        """Read one partition of an asset again when it is asked for next: it was made in this moment."""
        if asset in self._by_partition:
            self._stale.setdefault(asset, set()).add(partition)

    def _partitions(self, asset: str) -> dict[str, Record | str]:
        if asset not in self._by_partition:
            self._by_partition[asset] = self._read(asset)
        elif stale := self._stale.pop(asset, None):
            known = self._by_partition[asset]
            self._by_partition[asset] = {name: it for name, it in known.items() if name not in stale}
            self._by_partition[asset] |= self._read(asset, stale)
        return self._by_partition[asset]

    def _read(self, asset: str, partitions: set[str] | None = None) -> dict[str, Record | str]:
        """By partition: the newest materialisation, or the reason for which there is none."""
        key, event_type = dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
        newest = set(self._instance.get_latest_storage_id_by_partition(key, event_type, partitions).values())
        entries = _entries_of(self._instance.event_log_storage)
        known = entries.get(asset, {})
        read: _Entries = {
            number: known[number] for number in (newest if partitions is None else known) if number in known
        }
        unknown = sorted(newest - known.keys())
        for start in range(0, len(unknown), _AT_ONCE):
            selection = dg.AssetRecordsFilter(asset_key=key, storage_ids=unknown[start : start + _AT_ONCE])
            for entry in self._instance.fetch_materializations(selection, limit=_AT_ONCE).records:
                read[entry.storage_id] = _by_partition(asset, entry)
        entries[asset] = read
        return dict(found for number in sorted(newest) if (found := read.get(number)))


# Entries by number: the partition, and its record or why it was skipped; None for what was recorded by others.
_Entries = dict[int, tuple[str, Record | str] | None]
_KNOWN = WeakKeyDictionary[Any, dict[str, _Entries]]()


def _entries_of(event_log: Any) -> dict[str, _Entries]:
    """What this process has read of an event log, by asset: an entry never changes."""
    return _KNOWN.setdefault(event_log, {})


def _by_partition(asset: str, entry: dg.EventLogRecord) -> tuple[str, Record | str] | None:
    """The partition of an entry, and its record, or why it was skipped; None where it is of neither."""
    if (made := entry.asset_materialization) is None or made.partition is None:
        return None
    if record := _record(asset, entry):
        return made.partition, record
    return (made.partition, str(made.metadata[SKIPPED].value)) if SKIPPED in made.metadata else None


def _record(asset: str, entry: dg.EventLogRecord) -> Record | None:
    """What an entry of the event log holds; None where it is not of this project, or nothing was made."""
    event = entry.asset_materialization
    facts = facts_of(event.metadata) if event else {}
    if event is None or RECIPE not in facts or CONTENT not in facts:
        return None
    return Record(
        asset=asset,
        partition=event.partition,
        recipe=_recipe(facts[RECIPE]),
        content=facts[CONTENT],
        path=facts.get(PATH),
        metadata=event.metadata,
        run_id=entry.run_id,
        made_at=datetime.fromtimestamp(entry.timestamp, UTC),
    )


def _recipe(kept: str | dict[str, Any]) -> Recipe:
    recorded = Recipe(kept) if isinstance(kept, dict) else Recipe.from_json(kept)  # text until 0.1
    if not isinstance(settings := recorded.parts.get("settings"), dict):
        return recorded
    return Recipe({**recorded.parts, "settings": renewed_settings(settings)})


def reigns(registry: Registry) -> list[dict[str, Any]]:
    """Who was champion, newest first, each with the newest period that it learnt from."""
    history = [reign.version for reign in registry.history()]
    periods = {number: registry.version(number).tags.get("periods", "").split(",") for number in set(history)}
    return [{"version": number, "learnt_until": max(periods[number])} for number in history]


def report_by_hand(
    instance: dg.DagsterInstance, now: Version, decision: str, verdict: str, reigned: list[dict[str, Any]]
) -> None:
    """Record that a person moved the alias: the newest `champion_model`, with the version that holds it now."""
    record = Records(instance).latest("champion_model")
    if record is None:  # made by another Dagster instance: nothing here was predicted with it
        return
    content = Recipe({"champion": now.number}).digest
    metadata: dict[str, Any] = {
        "champion_version": now.number,
        "champion_type": now.model_type,
        "decision": decision,
        "verdict": verdict,
        "registered_model": now.page,
        REIGNS: Hidden(reigned),
        CONTENT: Hidden(content),
    }
    kept: Any = record.metadata.get(RECORD, dg.MetadataValue.json({}))
    metadata = {**record.metadata, **entries(metadata, kept.value)}
    tags = {"dagster/data_version": content}
    instance.report_runless_asset_event(dg.AssetMaterialization("champion_model", metadata=metadata, tags=tags))
