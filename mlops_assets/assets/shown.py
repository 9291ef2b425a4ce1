"""What several assets show alike: the lineage of their columns, and the way to the dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.lineage import Lineage

FRONT = "overview"  # shows what has no page of its own
BOARD_OF = {
    "raw_data": "data",
    "clean_data": "data",
    "training_set": "data",
    "hyperparameters": "model",
    "sklearn_model": "model",
    "xgboost_model": "model",
    "champion_model": FRONT,
    "predictions": "predictions",
    "requested_predictions": "predictions",
    "model_performance": "predictions",
    "drift_report": "data",
    "backtest_report": "backtest",
}


def dashboard_link(project: Project, asset: str) -> dict[str, dg.MetadataValue]:
    """The dashboard that shows an asset over time."""
    address = f"{project.settings.pages_url}/dashboards/?board={BOARD_OF.get(asset, FRONT)}"
    return {"dashboard": dg.MetadataValue.url(address)}


def column_lineage(upstream: str, lineage: Lineage) -> dict[str, dg.MetadataValue]:
    """Which columns of one asset upstream each column is made from."""
    key = dg.AssetKey(upstream)
    columns = {name: [dg.TableColumnDep(key, alias) for alias in aliases] for name, aliases in lineage.items()}
    return {"dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(columns))}
