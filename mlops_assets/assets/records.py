"""What was made last: the newest materialisation of an asset, read from Dagster's event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError

if TYPE_CHECKING:
    from mlops_assets.resources.mlflow.registry import Registry, Version

RECIPE, CONTENT, PATH, BYTES = "recipe", "content", "path", "bytes"
VERSION, CHAMPION_VERSION = "version", "champion_version"  # numbers of versions that an asset has registered
REIGNS = "reigns"


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
        """A metadata value as plain Python; None where it is absent."""
        return self.metadata[name].value if name in self.metadata else None


def latest(instance: dg.DagsterInstance, asset: str, partition: str | None = None) -> Record | None:
    """The newest materialisation that this project made, or None."""
    partitions = None if partition is None else [partition]
    selection = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=partitions)
    for entry in instance.fetch_materializations(selection, limit=1).records:
        event = entry.asset_materialization
        if event is None or RECIPE not in event.metadata or CONTENT not in event.metadata:
            return None
        metadata = event.metadata
        return Record(
            asset=asset,
            partition=partition,
            recipe=Recipe.from_json(str(metadata[RECIPE].value)),
            content=str(metadata[CONTENT].value),
            path=str(metadata[PATH].value) if PATH in metadata else None,
            metadata=metadata,
            run_id=entry.run_id,
            made_at=datetime.fromtimestamp(entry.timestamp, UTC),
        )
    return None


def all_latest(instance: dg.DagsterInstance, asset: str) -> dict[str, Record]:
    """The newest materialisation of each partition, by partition, in order."""
    records = {name: latest(instance, asset, name) for name in sorted(materialised(instance, asset))}
    return {name: record for name, record in records.items() if record}


def materialised(instance: dg.DagsterInstance, asset: str) -> set[str]:
    """Partitions that were ever made."""
    return set(instance.get_materialized_partitions(dg.AssetKey(asset)))


def newest(instance: dg.DagsterInstance, asset: str, partition: str | None = None) -> Record:
    """As `latest`, or a DataError that says what to materialise first."""
    record = latest(instance, asset, partition)
    if record is None:
        name = f"{asset}[{partition}]" if partition else asset
        raise DataError(f"{name} has not been materialised: do that first")
    return record


def reigns(registry: Registry) -> list[dict[str, Any]]:
    """Who was champion, newest first, each with the newest month that it learnt from."""
    history = [reign.version for reign in registry.history()]
    months = {number: registry.version(number).tags.get("months", "").split(",") for number in set(history)}
    return [{"version": number, "learnt_until": max(months[number])} for number in history]


def report_by_hand(
    instance: dg.DagsterInstance, now: Version, decision: str, verdict: str, reigned: list[dict[str, Any]]
) -> None:
    """Record that a person moved the alias: the newest `champion_model`, with the version that holds it now."""
    record = latest(instance, "champion_model")
    if record is None:  # made by another Dagster instance: nothing here was predicted with it
        return
    content = Recipe({"champion": now.number}).digest
    metadata: dict[str, Any] = {
        "champion_version": now.number,
        "champion_type": now.model_type,
        "decision": decision,
        "verdict": verdict,
        "registered_model": dg.MetadataValue.url(now.url),
        REIGNS: dg.MetadataValue.json(reigned),
        CONTENT: content,
    }
    metadata = {**record.metadata, **metadata}
    tags = {"dagster/data_version": content}
    instance.report_runless_asset_event(dg.AssetMaterialization("champion_model", metadata=metadata, tags=tags))
