"""Fitted estimators as bytes and files, without pickle: skops, or what a library writes itself.

skops checks the types in a file, not their content: load only files from your own store. Types that are trusted are
those of scikit-learn that `strict_skops` knows, those listed here, and classes of the user's own that
MLOPS_TRUSTED_TYPES names: no file can add to them.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import get_args

from mlops_assets.core.learners.ensemble import Ensemble, Member
from mlops_assets.core.learners.libraries import LIBRARIES, library_of, refuse_absent
from mlops_assets.core.learners.libraries.library import damaged
from mlops_assets.core.learners.strict_skops import import_skops, is_trusted
from mlops_assets.core.state import DAMAGE, check_members
from mlops_assets.core.types import Estimator, MatrixKind
from mlops_assets.errors import ModelError
from mlops_assets.settings import trusted_types

SKLEARN_FILE = "estimator.skops"
ENSEMBLE_FILE = "ensemble.json"  # and a file for each member, its number in front
MOST_MEMBERS = 100
TRUSTED_TYPES = (
    # Forests and gradient boosting, also inside other ensembles.
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils._bunch.Bunch",
    # The native categories of HistGradientBoosting: a partial of a function that is itself trusted.
    "functools.partial",
    "sklearn.utils.validation.check_array",
    # SimpleImputer remembers the type it was fitted on.
    "numpy.dtype",
    # Nearest neighbours.
    "scipy.sparse._csr.csr_matrix",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    # Classifiers that calibrate another one.
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    # Gaussian processes, neural networks and generalised linear models.
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
)


def save_estimator(estimator: Estimator, folder: Path, prefix: str = "") -> Path:
    """Write a fitted estimator into `folder`; raises ModelError where it holds a type that is not trusted.

    `prefix`: how the name of its file begins.
    """
    if isinstance(estimator, Ensemble):
        return _save_members(estimator, folder)
    library = library_of(estimator)
    path = folder / f"{prefix}{library.file if library else SKLEARN_FILE}"
    path.write_bytes(dump_estimator(estimator))
    return path


def load_estimator(folder: Path, prefix: str = "") -> Estimator:
    """Read what `save_estimator` wrote.

    Raises ModelError where it is missing, damaged or not trusted, or its library is not installed.
    """
    packages_of(folder)
    if not prefix and (folder / ENSEMBLE_FILE).is_file():
        return _load_members(folder)
    files = (SKLEARN_FILE, *(library.file for library in LIBRARIES.values()))
    for path in (folder / f"{prefix}{file}" for file in files):
        if path.is_file():
            return parse_estimator(path.read_bytes())
    raise ModelError(f"the saved model has none of {', '.join(files)}: train and save it again")


def packages_of(folder: Path) -> tuple[str, ...]:
    """The packages that a saved model needs beside those that every model needs.

    Raises ModelError where one is not installed.
    """
    kept = [library for library in LIBRARIES.values() if any(folder.glob(f"*{library.file}"))]
    for library in kept:
        refuse_absent("the saved model", library)
    return tuple(name for library in kept for name in library.packages)


def _save_members(ensemble: Ensemble, folder: Path) -> Path:
    path, about = folder / ENSEMBLE_FILE, []
    for number, member in enumerate(ensemble.members):
        save_estimator(member.estimator, folder, f"{number}.")
        about.append({"model_type": member.model_type, "weight": member.weight, "matrix": member.matrix})
    path.write_text(json.dumps(about, indent=1), encoding="utf-8")
    return path


def _load_members(folder: Path) -> Ensemble:
    try:
        about = json.loads((folder / ENSEMBLE_FILE).read_text(encoding="utf-8"))[:MOST_MEMBERS]
        members = [
            Member(str(item["model_type"]), float(item["weight"]), item["matrix"], load_estimator(folder, f"{number}."))
            for number, item in enumerate(about)
            if item["matrix"] in get_args(MatrixKind)
        ]
    except DAMAGE:
        raise damaged() from None
    return Ensemble(tuple(members))


def dump_estimator(estimator: Estimator) -> bytes:
    """A fitted estimator as bytes; raises ModelError where it holds a type that is not trusted."""
    if library := library_of(estimator):
        return library.dump(estimator)
    skops = import_skops()
    try:
        # Level 1: a third of the size for a second of work on a large forest.
        data: bytes = skops.dumps(estimator, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    except skops.exceptions.UnsupportedTypeException as error:
        raise ModelError(f"{type(estimator).__name__} cannot be kept without pickle: {error}") from None
    _refuse_foreign(skops.get_untrusted_types(data=data))
    return data


def parse_estimator(data: bytes) -> Estimator:
    """The estimator that `dump_estimator` turned into bytes; same predictions, bit for bit."""
    if data.startswith(b"PK"):  # skops writes a zip
        return _parse_skops(data)
    for library in LIBRARIES.values():
        if library.is_dump(data):
            return library.parse(data)
    raise ModelError(f"the saved estimator is neither of skops nor of {', '.join(LIBRARIES)}: train and save it again")


def _parse_skops(data: bytes) -> Estimator:
    skops = import_skops()
    try:
        check_members(io.BytesIO(data))
        types = skops.get_untrusted_types(data=data)
        _refuse_foreign(types)
        estimator: Estimator = skops.loads(data, trusted=types)
        return estimator
    except ModelError:
        raise
    except ModuleNotFoundError as error:
        raise ModelError(
            f"the saved estimator needs the module {error.name}, which is not here: install it, or put its folder on "
            "PYTHONPATH"
        ) from None
    except Exception as error:  # whatever damaged bytes make skops and numpy raise
        reason = f"({type(error).__name__}: {error})"
        raise ModelError(f"the saved estimator is damaged or of another version {reason}: train it again") from error


def _refuse_foreign(types: list[str]) -> None:
    unlisted = set(types).difference(TRUSTED_TYPES, trusted_types())
    if foreign := sorted(path for path in unlisted if not is_trusted(path)):
        raise ModelError(
            f"the estimator holds types that are not on the list of trusted types: {', '.join(foreign)}; "
            "use another model type, or, where they are your own, name them in MLOPS_TRUSTED_TYPES, separated by commas"
        )
