"""A saved model as an artefact in MLflow, back as a folder, and the runs that it came from.

MLflow's own pyfunc tools can load it too.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlops_assets.addresses import mlflow_page
from mlops_assets.compat import without_second_look
from mlops_assets.core.fingerprint import installed

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models.model import ModelInfo
    from mlflow.models.signature import ModelSignature

    from mlops_assets.resources.mlflow.tracking import Tracking
    from mlops_assets.resources.mlflow.version import Version


LOADER = "mlops_assets.core.model"
# What a model needs to answer, beside this package. A fixed list: finding it out takes MLflow many seconds.
PACKAGES = ("numpy", "pandas", "scikit-learn", "xgboost", "skops", "pydantic", "PyYAML", "holidays")


def log_model(
    run_id: str, folder: Path, example: pd.DataFrame | None = None, prediction_name: str = "prediction"
) -> ModelInfo:
    """Log the model saved in `folder` to a run, with a signature where there are example rows of its inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of type hints in MLflow itself
        import mlflow.pyfunc
        from mlflow.models import Model as LoggedModel

    with TemporaryDirectory() as temporary, without_second_look():
        # MLflow keeps the folder's name, which shall not be that of some temporary one.
        (Path(temporary) / "model").symlink_to(folder.absolute())
        return LoggedModel.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run_id,
            loader_module=LOADER,
            data_path=f"{temporary}/model",
            signature=None if example is None else _signature(folder, example, prediction_name),
            input_example=example,
            pip_requirements=list(requirements(folder)),
        )


def local_folder(location: str, fetched: Path) -> Path:
    """The saved model of the logged model at `location`; if that is not on this machine, by way of `fetched`."""
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model as LoggedModel

    if urlsplit(location).scheme in ("", "file"):
        fetched = Path(download_artifacts(location))
    elif not fetched.exists():
        fetched.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=fetched.parent) as temporary:
            whole = download_artifacts(location, dst_path=temporary)
            if not fetched.exists():
                os.rename(whole, fetched)
    return fetched / LoggedModel.load(fetched).flavors["python_function"]["data"]


def requirements(folder: Path) -> tuple[str, ...]:
    """The installed packages that the model saved in `folder` needs, each with its version."""
    from mlops_assets.core.learners.persistence import packages_of

    return tuple("==".join(installed(package)) for package in (*PACKAGES, *packages_of(folder)))


def _signature(folder: Path, example: pd.DataFrame, prediction_name: str) -> ModelSignature:
    import pandas as pd
    from mlflow.models import infer_signature

    from mlops_assets.core.model.model import load_model

    prediction = pd.DataFrame({prediction_name: load_model(folder).predict(example)})
    with warnings.catch_warnings():
        # "Integer columns cannot represent missing values": ours take them as they come.
        warnings.filterwarnings("ignore", message=".*integer column", category=UserWarning)
        return infer_signature(example, prediction)


@dataclass(frozen=True)
class Origin:
    """Links to the runs in MLflow and Dagster and to the version's page, and the metrics of the MLflow run."""

    mlflow_run: str
    dagster_run: str | None
    registry_page: str
    metrics: dict[str, float]


def find_origin(tracking: Tracking, version: Version) -> Origin:
    """The origin of a version, read from its MLflow run; raises TrackingError."""
    from mlops_assets.resources.mlflow.tracking import DAGSTER_RUN_TAG

    with tracking.errors(f"find the run of version {version.number}"):
        run = tracking.client.get_run(version.run_id)
    made_by = run.data.tags.get(DAGSTER_RUN_TAG)
    return Origin(
        mlflow_run=tracking.run_url(version.run_id),
        dagster_run=tracking.dagster_url(made_by) if made_by else None,
        registry_page=mlflow_page(tracking.ui_url, version.page),
        metrics=dict(run.data.metrics),
    )
