"""Jobs: the stages of the pipeline, to launch by name."""

import dagster as dg

from mlops_assets.project import Project

SCORE, MONITOR = "score", "monitor"
MEASURED = ("clean_data", "model_performance", "drift_report")
JOB_OF = {
    "raw_data": "ingest",
    "clean_data": "clean",
    "training_set": "build_training_set",
    "hyperparameters": "tune",
    "sklearn_model": "fit_sklearn",
    "xgboost_model": "fit_xgboost",
    "champion_model": "promote",
    "predictions": "predict_batch",
    "model_performance": "measure_performance",
    "drift_report": "report_drift",
}


def build_jobs(project: Project) -> list[dg.JobDefinition]:
    """One job a stage; those of months and model types take a partition."""
    described = {
        "raw_data": "Ingest one month.",
        "clean_data": "Clean one month.",
        "training_set": "Build the training set from the newest months.",
        "hyperparameters": "Search the hyperparameters of one model type.",
        "champion_model": "Let the best candidate challenge the champion.",
        "predictions": "Score one month with the champion.",
        "model_performance": "Compare one month's predictions with what came true.",
        "drift_report": "Compare one month with those that the model of its time had learnt from.",
    }
    if project.sklearn_types:
        described["sklearn_model"] = "Fit the final model of one scikit-learn type."
    if project.xgboost_types:
        described["xgboost_model"] = "Fit the final XGBoost model."
    jobs = [_job(JOB_OF[asset], [asset], description) for asset, description in described.items()]
    return [
        _job("prepare_data", ["raw_data", "clean_data"], "Ingest and clean one month."),
        _job(SCORE, ["raw_data", "predictions"], "Ingest one month as it is now, and score it with the champion."),
        _job(MONITOR, [*MEASURED], "Measure one month that was scored: realised error and drift."),
        *jobs,
    ]


def _job(name: str, assets: list[str], description: str):
    return dg.define_asset_job(name, selection=dg.AssetSelection.assets(*assets), description=description)
