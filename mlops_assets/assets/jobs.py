"""Jobs: the stages of the pipeline, to launch by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets.registry import AssetGraph

if TYPE_CHECKING:
    from mlops_assets.compat import AssetJob

SCORE, MONITOR = "score", "monitor"
MEASURED = ("clean_data", "model_performance", "drift_report")


def build_jobs(graph: AssetGraph) -> list[AssetJob]:
    """One job an asset; those of periods and model types take a partition."""
    return [
        _job("prepare_data", ("raw_data", "clean_data"), "Ingest and clean one period."),
        _job(SCORE, ("raw_data", "predictions"), "Ingest one period as it is now, and score it with the champion."),
        _job(MONITOR, MEASURED, "Measure one period that was scored: realised error and drift."),
        *(_job(entry.job, (name,), entry.about) for name, entry in graph.entries.items()),
    ]


def _job(name: str, assets: tuple[str, ...], description: str) -> AssetJob:
    return dg.define_asset_job(name, selection=dg.AssetSelection.assets(*assets), description=description)
