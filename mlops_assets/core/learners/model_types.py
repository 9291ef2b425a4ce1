"""Model types: what can be tuned and fitted, by a shipped name or the import path of a class that fits and predicts."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.learners.libraries import library_of_path, refuse_absent
from mlops_assets.core.learners.search_spaces import ModelTypeSpec, Space, load_search_spaces
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.targets.numbers import NUMBER
from mlops_assets.core.types import MatrixKind
from mlops_assets.dataset.parts import Direction
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from mlops_assets.core.learners.libraries.library import Library

SHIPPED = Path(__file__).with_name("search_spaces.yaml")
XGBOOST = "xgboost.XGBRegressor"
_TAKES_CONSTRAINTS = (
    "sklearn.ensemble.HistGradientBoostingRegressor",
    "sklearn.ensemble.HistGradientBoostingClassifier",
)
_SPARSE_BY_NATURE = ("sklearn.linear_model.", "sklearn.svm.")


@dataclass(frozen=True)
class ModelType:
    """A kind of estimator: how it is imported, its matrix, what a search may vary, and what it predicts.

    `monotone`: number features with the direction in which predictions follow them, 1 or -1. `code`: digest of the
    module of a class that no library here brings.
    """

    name: str
    import_path: str
    matrix: MatrixKind
    space: Space
    target: TargetKind = NUMBER
    monotone: tuple[tuple[str, int], ...] = ()
    code: str | None = None

    def constrained(self, monotone: Mapping[str, Direction]) -> ModelType:
        """The same with the directions of the dataset's YAML; raises ModelError where it cannot keep them."""
        if monotone and not (keeps_monotone(self.import_path) and self.matrix == "dense"):
            able = [name for name, entry in shipped_model_types().items() if keeps_monotone(entry.import_path or name)]
            raise ModelError(
                f"'{self.name}' cannot keep what the dataset asks of {', '.join(monotone)} (monotone): "
                f"use one of {', '.join(able)}, on the dense matrix"
            )
        return replace(self, monotone=tuple((name, 1 if way == "up" else -1) for name, way in monotone.items()))

    def constraints(self, names: Sequence[str]) -> list[int]:
        """Of each column of the dense matrix by name; empty where there are none."""
        directions = dict(self.monotone)
        return [directions.get(name, 0) for name in names] if directions else []

    @property
    def is_xgboost(self) -> bool:
        return self.import_path == XGBOOST

    @property
    def packages(self) -> tuple[str, ...]:
        """What has to be installed for it beside what every model needs."""
        return self.library.packages if self.library else ()

    @property
    def library(self) -> Library | None:
        """Its library, where that has files and SHAP values of its own."""
        return library_of_path(self.import_path)

    def load_class(self) -> type:
        """The estimator's class; imports its library."""
        estimator_class: type = _import(self.import_path)
        return estimator_class


@lru_cache(maxsize=1)
def shipped_model_types() -> Mapping[str, ModelTypeSpec]:
    """The entries of `search_spaces.yaml`, which ships with the project."""
    return load_search_spaces(SHIPPED)


def resolve_model_type(
    name: str, extra: Mapping[str, ModelTypeSpec] | None = None, target: TargetKind = NUMBER
) -> ModelType:
    """The model type of a shipped name, an entry of the user's YAML, or an estimator's import path.

    `sklearn.` may be left out of a path: `linear_model.Lasso`. Shipped names are resolved without importing a
    library. Raises ModelError, with close matches or what to install, where the name leads to no estimator of
    what the target is.
    """
    shipped = shipped_model_types()
    by_path = {entry.import_path: entry for entry in shipped.values()}
    own = (extra or {}).get(name) or ModelTypeSpec()
    entry = shipped.get(name) or ModelTypeSpec()
    path = _whole_path(own.import_path or entry.import_path or name)
    library = library_of_path(path)
    if library:
        refuse_absent(f"'{name}'", library)
    is_of_classes = library is not None and path == library.classifier
    if library and is_of_classes:
        path = library.estimator
    other = ModelTypeSpec(predicts="numbers" if library else None)
    base = by_path.get(path) or other.model_copy(update={"matrix": _default_matrix(name, path, target)})
    predicts = "classes" if is_of_classes else base.predicts
    if predicts == ("numbers" if target.is_classifier else "classes"):
        raise ModelError(_misfit(name, target))
    matrix = own.matrix or base.matrix or _default_matrix(name, path, target)
    space = own if "parameters" in own.model_fields_set else base
    code = None if library or path.startswith("sklearn.") else _digest_of_source(_import(path))
    return ModelType(name, path, matrix, Space(parameters=space.parameters, start=space.start), target, code=code)


def keeps_monotone(import_path: str) -> bool:
    """Whether an estimator takes constraints on the directions of its columns, with missing values among them."""
    return library_of_path(import_path) is not None or import_path in _TAKES_CONSTRAINTS


@cache
def _digest_of_source(cls: type) -> str:
    """Of the file of the module that defines a class, as it is when the class is first asked for in this process."""
    return hashlib.sha256(Path(inspect.getfile(cls)).read_bytes()).hexdigest()


def _whole_path(path: str) -> str:
    """With `sklearn.` in front where that was left out."""
    first, dot, _ = path.partition(".")
    sklearn = find_spec("sklearn")
    rooms = [Path(place) for place in (sklearn and sklearn.submodule_search_locations) or ()]
    is_short = not dot or any((room / first).is_dir() or (room / f"{first}.py").is_file() for room in rooms)
    return f"sklearn.{path}" if is_short else path


def _misfit(name: str, target: TargetKind) -> str:
    learnt, wanted = ("numbers", "classes") if target.is_classifier else ("classes", "numbers")
    fitting = [
        name for name, entry in shipped_model_types().items() if entry.predicts == wanted or entry.predicts is None
    ]
    return f"'{name}' predicts {learnt}, and the target's kind asks for {wanted}: use one of {', '.join(fitting)}"


def _default_matrix(name: str, path: str, target: TargetKind) -> MatrixKind:
    """One-hot for linear models and support vectors of scikit-learn that take sparse matrices.

    Raises ModelError where `path` leads to no estimator of the target's kind, or to one that cannot be used here, a
    class that is not trusted included.
    """
    from sklearn.base import is_classifier, is_regressor
    from sklearn.utils import get_tags

    from mlops_assets.core.learners.persistence import dump_estimator

    try:
        found = _import(path)
    except (ImportError, AttributeError):
        found = None
    except Exception as error:  # whatever a module of the user's own does
        raise ModelError(f"'{name}' cannot be imported: {type(error).__name__}: {error}") from error
    if not inspect.isclass(found) or not (callable(getattr(found, "fit", None)) and hasattr(found, "predict")):
        raise ModelError(f"'{name}' is not a model type: {_advice(path)}")
    try:
        estimator: Any = found()
    except TypeError as error:
        raise ModelError(f"'{name}' cannot be built without arguments ({error}): use another model type") from None
    if not hasattr(found, "__sklearn_tags__"):
        raise ModelError(
            f"'{name}' does not say what it learns: let its class inherit from scikit-learn's RegressorMixin, or "
            "ClassifierMixin, and then BaseEstimator"
        )
    try:
        tags = get_tags(estimator)
    except AttributeError:  # of one around another that has no default
        raise ModelError(f"'{name}' needs an estimator within it: use another model type") from None
    if not (is_regressor(estimator) or is_classifier(estimator)):
        raise ModelError(f"'{name}' is not a model type: {_advice(path)}")
    if is_classifier(estimator) != target.is_classifier:
        raise ModelError(_misfit(name, target))
    if target.is_classifier and not any(hasattr(found, how) for how in ("predict_proba", "decision_function")):
        raise ModelError(f"'{name}' gives no probabilities (predict_proba): use another model type")
    if not tags.target_tags.single_output:
        raise ModelError(f"'{name}' only predicts several targets at once: use another model type")
    if not path.startswith("sklearn."):
        dump_estimator(estimator)  # what could not be kept is told before it is fitted
    return "one_hot" if tags.input_tags.sparse and path.startswith(_SPARSE_BY_NATURE) else "dense"


def _import(path: str) -> Any:
    """What a path names, which may be no class."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _advice(path: str) -> str:
    from sklearn.utils import all_estimators

    wanted = path.rpartition(".")[2]
    public = [f"{cls.__module__.split('._')[0]}.{name}" for name, cls in all_estimators(type_filter="regressor")]
    others = [] if path.startswith("sklearn.") else _beside(path.removesuffix(f".{wanted}"))
    by_class = {path.rpartition(".")[2]: path for path in [*public, *others]}
    by_class |= {name: name for name in shipped_model_types()}
    close = get_close_matches(wanted, by_class, n=3)
    if close:
        return f"did you mean {' or '.join(by_class[match] for match in close)}?"
    advice = f"use one of {', '.join(shipped_model_types())}, or the import path of a class with fit and predict"
    try:
        importlib.import_module(path.removesuffix(f".{wanted}"))
    except ImportError as error:
        return f"{advice} ({error}: is its folder on PYTHONPATH?)"
    return advice


def _beside(room: str) -> list[str]:
    """Paths of the classes with fit and predict that can be imported from a module."""
    try:
        names = vars(importlib.import_module(room))
    except ImportError:
        return []
    return [f"{room}.{name}" for name, item in names.items() if inspect.isclass(item) and hasattr(item, "predict")]
