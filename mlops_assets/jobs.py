"""Jobs: the stages of the pipeline, to launch by name."""

import dagster as dg

from mlops_assets.project import Project


def build_jobs(project: Project) -> list[dg.JobDefinition]:
    """One job a stage; those of months and model types take a partition."""
    jobs = [
        _job("prepare_data", ["raw_data", "clean_data"], "Ingest and clean one month."),
        _job("ingest", ["raw_data"], "Ingest one month."),
        _job("clean", ["clean_data"], "Clean one month."),
        _job("build_training_set", ["training_set"], "Build the training set from the newest months."),
        _job("tune", ["hyperparameters"], "Search the hyperparameters of one model type."),
        _job("promote", ["champion_model"], "Let the best candidate challenge the champion."),
        _job("predict_batch", ["predictions"], "Score one month with the champion."),
    ]
    if project.sklearn_types:
        jobs.append(_job("fit_sklearn", ["sklearn_model"], "Fit the final model of one scikit-learn type."))
    if project.xgboost_types:
        jobs.append(_job("fit_xgboost", ["xgboost_model"], "Fit the final XGBoost model."))
    return jobs


def _job(name: str, assets: list[str], description: str):
    return dg.define_asset_job(name, selection=dg.AssetSelection.assets(*assets), description=description)
