"""The assets: thin shells that read, call the core, store and record."""

from datetime import timedelta

import dagster as dg

from mlops_assets.assets.backtest_report import backtest_asset
from mlops_assets.assets.champion_model import champion_asset
from mlops_assets.assets.drift_report import drift_asset
from mlops_assets.assets.hyperparameters import tuning_assets
from mlops_assets.assets.model_performance import performance_asset
from mlops_assets.assets.models import training_assets
from mlops_assets.assets.partitions import model_type_partitions, month_partitions
from mlops_assets.assets.predictions import prediction_assets
from mlops_assets.assets.preparation import preparation_assets
from mlops_assets.project import Project


def build_assets(project: Project) -> list[dg.AssetsDefinition]:
    """Every asset of the project, with the partitions that its dataset and settings ask for."""
    settings = project.settings
    freshness = dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=settings.fresh_days), warn_window=timedelta(days=settings.warn_after_days)
    )
    months = month_partitions(project.spec)
    models = training_assets(project.sklearn_types, project.xgboost_types)
    return [
        *preparation_assets(months, freshness),
        *tuning_assets(model_type_partitions(tuple(project.model_types))),
        *models,
        champion_asset([model.key.to_user_string() for model in models], freshness),
        *prediction_assets(months),
        performance_asset(months),
        drift_asset(months),
        backtest_asset(),
    ]
