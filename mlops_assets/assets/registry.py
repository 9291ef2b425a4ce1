"""Every asset of the pipeline, and the graph that they make. To add one: a file of its own, and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from mlops_assets.assets import (
    champion_model,
    clean_data,
    drift_report,
    ensemble_model,
    hyperparameters,
    model_performance,
    models,
    predictions,
    raw_data,
    search_budget,
    training_set,
)
from mlops_assets.assets.entry import AssetEntry, pages
from mlops_assets.project import Project

ENTRIES = (
    raw_data.ENTRY,
    clean_data.ENTRY,
    training_set.ENTRY,
    search_budget.ENTRY,
    hyperparameters.ENTRY,
    *models.ENTRIES,
    ensemble_model.ENTRY,
    champion_model.ENTRY,
    predictions.ENTRY,
    model_performance.ENTRY,
    drift_report.ENTRY,
)


@dataclass(frozen=True)
class AssetGraph:
    """The assets that a project has, upstream first, and what each is made from.

    `chosen_partitions`: of the edges that take some partitions of a parent alone, which these are.
    """

    entries: Mapping[str, AssetEntry]
    upstream: Mapping[str, tuple[str, ...]]
    chosen_partitions: Mapping[tuple[str, str], frozenset[str]]
    definitions: tuple[dg.AssetsDefinition, ...]


def asset_graph(project: Project, entries: Sequence[AssetEntry] = ENTRIES) -> AssetGraph:
    """The graph of a project's assets, read from their Dagster definitions."""
    wanted = {entry.name: entry for entry in entries if entry.is_wanted(project)}
    definitions = {name: _with_pages(entry.build(project), project, entry) for name, entry in wanted.items()}
    deps = {name: _deps(definition) for name, definition in definitions.items()}
    upstream = {name: tuple(parent for parent in wanted if parent in _names(deps[name])) for name in wanted}
    depth: dict[str, int] = {}

    def depth_of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max(map(depth_of, upstream[name]), default=0)
        return depth[name]

    ordered = sorted(wanted, key=depth_of)
    chosen = {
        (dep.asset_key.to_user_string(), name): frozenset(dep.partition_mapping.partition_keys)
        for name in wanted
        for dep in deps[name]
        if isinstance(dep.partition_mapping, dg.SpecificPartitionsPartitionMapping)
    }
    return AssetGraph(
        entries={name: wanted[name] for name in ordered},
        upstream={name: upstream[name] for name in ordered},
        chosen_partitions=chosen,
        definitions=tuple(definitions[name] for name in ordered),
    )


def _with_pages(definition: dg.AssetsDefinition, project: Project, entry: AssetEntry) -> dg.AssetsDefinition:
    links = pages(project, entry.dashboard, in_mlflow=entry.uses_mlflow)
    return definition.map_asset_specs(lambda spec: spec.merge_attributes(metadata=links))


def _deps(definition: dg.AssetsDefinition) -> Sequence[dg.AssetDep]:
    """What an asset is made from; an edge from all partitions, said in so many words, is there for backfills alone."""
    (spec,) = definition.specs
    return tuple(dep for dep in spec.deps if not isinstance(dep.partition_mapping, dg.AllPartitionMapping))


def _names(deps: Sequence[dg.AssetDep]) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in deps}
