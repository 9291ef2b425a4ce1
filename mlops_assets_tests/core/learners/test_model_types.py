"""Model types are found by name or import path, and a wrong name gets advice."""

import subprocess

import pytest

from mlops_assets.core.learners import libraries
from mlops_assets.core.learners.estimators import parameters_of
from mlops_assets.core.learners.model_types import SHIPPED, resolve_model_type, shipped_model_types
from mlops_assets.core.learners.search_spaces import ModelTypeSpec
from mlops_assets.errors import ModelError
from mlops_assets_tests.core.examples import BINARY, CATEGORY, model_type_of
from mlops_assets_tests.warm import TRUE_PYTHON

TUTORIAL = {
    "linear_model.Lasso": "one_hot",
    "linear_model.LinearRegression": "one_hot",
    "svm.LinearSVR": "one_hot",
    "ensemble.ExtraTreesRegressor": "dense",
    "ensemble.GradientBoostingRegressor": "dense",
    "ensemble.RandomForestRegressor": "dense",
}


@pytest.mark.parametrize("name", TUTORIAL)
def test_the_tutorials_short_paths_lead_to_the_shipped_model_types(name):
    model_type = resolve_model_type(name)
    shipped = resolve_model_type(name.partition(".")[2])
    assert model_type.name == name
    assert (model_type.import_path, model_type.matrix, model_type.space) == (
        shipped.import_path,
        TUTORIAL[name],
        shipped.space,
    )


@pytest.mark.parametrize("name", shipped_model_types())
def test_every_shipped_name_is_an_estimator_that_has_its_parameters(name):
    model_type = model_type_of(name)
    more = model_type.library.more_parameters if model_type.library else ()
    assert set(model_type.space.parameters) <= {*parameters_of(model_type.load_class()), *more}
    assert model_type.is_xgboost == (name == "XGBoost")


@pytest.mark.parametrize(
    "path, matrix",
    [
        ("sklearn.neighbors.KNeighborsRegressor", "dense"),
        ("neural_network.MLPRegressor", "dense"),
        ("linear_model.ElasticNet", "one_hot"),
        ("linear_model.BayesianRidge", "dense"),  # takes no sparse matrix
        ("svm.SVR", "one_hot"),
    ],
)
def test_any_scikit_learn_regressor_can_be_named_and_is_tried_once_with_its_defaults(path, matrix):
    model_type = resolve_model_type(path)
    assert (model_type.matrix, model_type.space.size) == (matrix, 1)
    assert model_type.load_class().__name__ == path.rpartition(".")[2]


@pytest.mark.parametrize(
    "path, name",
    [
        ("lightgbm.LGBMRegressor", "LightGBM"),
        ("catboost.CatBoostRegressor", "CatBoost"),
        ("xgboost.XGBRegressor", "XGBoost"),
    ],
)
def test_a_path_of_another_library_has_the_shipped_space_of_that_class(path, name):
    model_type = resolve_model_type(path)
    assert model_type.space == resolve_model_type(name).space and model_type.library is not None


@pytest.mark.parametrize("name", ["lightgbm.LGBMClassifier", "catboost.CatBoostClassifier", "xgboost.XGBClassifier"])
def test_a_classifier_of_another_library_is_the_shipped_model_type_with_the_objective_of_classes(name):
    found = resolve_model_type(name, target=CATEGORY)
    assert found.import_path == found.library.estimator
    assert found.space == resolve_model_type(found.library.estimator).space
    assert found.library.objective(CATEGORY).params != found.library.objective(BINARY).params
    with pytest.raises(ModelError, match=f"'{name}' predicts classes, and the target's kind asks for numbers"):
        resolve_model_type(name)


@pytest.mark.parametrize("name", ["LightGBM", "catboost.CatBoostRegressor"])
def test_an_extra_that_is_not_installed_is_named_with_the_command_that_installs_it(name, monkeypatch):
    library = resolve_model_type(name).library.packages[0]
    monkeypatch.setattr(libraries, "find_spec", lambda package: None)
    message = f"'{name}' needs the package {library}, which is not installed: pip install 'mlops-assets\\[{library}\\]'"
    with pytest.raises(ModelError, match=message):
        resolve_model_type(name)


@pytest.mark.parametrize(
    "name, message",
    [
        ("lightgbm.LGBMRegresor", r"did you mean lightgbm\.LGBMRegressor"),
        ("catboost.CatBostRegressor", r"did you mean catboost\.CatBoostRegressor"),
        ("Lassso", "did you mean Lasso"),
        ("neighbors.KNeighborRegressor", "did you mean sklearn.neighbors.KNeighborsRegressor"),
        ("ensemble.RandomForestClassifier", "predicts classes.*asks for numbers: use one of LinearRegression"),
        ("LogisticRegression", "predicts classes.*asks for numbers: use one of LinearRegression"),
        ("os.system", "use one of LinearRegression"),
        ("sklearn.utils.Bunch", "use one of LinearRegression"),
        ("ensemble.StackingRegressor", "cannot be built without arguments"),
        ("linear_model.MultiTaskLasso", "several targets at once"),
    ],
)
def test_a_name_that_leads_to_no_usable_regressor_is_refused_with_advice(name, message):
    with pytest.raises(ModelError, match=f"^'{name}'.*{message}"):
        resolve_model_type(name)


def test_an_estimator_around_another_that_is_not_given_is_refused():
    with pytest.raises(ModelError, match="'semi_supervised.SelfTrainingClassifier' needs an estimator within it"):
        resolve_model_type("semi_supervised.SelfTrainingClassifier", target=BINARY)


def test_a_users_entry_replaces_only_what_it_gives():
    alpha = {"alpha": {"uniform": [1, 2]}}
    extra = {
        "Ridge": ModelTypeSpec.model_validate({"parameters": alpha}),
        "Lasso": ModelTypeSpec.model_validate({"matrix": "dense"}),
        "LinearSVR": ModelTypeSpec.model_validate({"parameters": {}}),
    }
    ridge, lasso, svr = (resolve_model_type(name, extra) for name in extra)
    assert (ridge.matrix, ridge.space.parameters["alpha"].uniform, ridge.space.start) == ("one_hot", (1, 2), {})
    assert lasso.matrix == "dense" and lasso.space == resolve_model_type("Lasso").space
    assert svr.space.size == 1


def test_a_users_entry_can_name_a_model_type_of_its_own():
    entry = {"import_path": "xgboost.XGBRegressor", "parameters": {"max_depth": {"integer": [2, 3]}}}
    shallow = resolve_model_type("Shallow", {"Shallow": ModelTypeSpec.model_validate(entry)})
    assert shallow.is_xgboost and shallow.name == "Shallow" and shallow.space.size == 2


def test_a_users_entry_that_leads_to_no_regressor_is_refused():
    entry = ModelTypeSpec(import_path="os.system", matrix="dense")
    with pytest.raises(ModelError, match="'Mine' is not a model type"):
        resolve_model_type("Mine", {"Mine": entry})


def test_shipped_names_are_resolved_without_importing_a_learning_library():
    script = (
        "import sys; from mlops_assets.core.learners.model_types import resolve_model_type, shipped_model_types\n"
        "names = [name for name, entry in shipped_model_types().items() if entry.predicts != 'classes']\n"
        "for name in [*names, 'linear_model.Lasso']: resolve_model_type(name)\n"
        "heavy = {'sklearn', 'xgboost', 'lightgbm', 'catboost', 'hyperopt', 'pandas', 'scipy'}\n"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    assert subprocess.run([TRUE_PYTHON, "-c", script], cwd=SHIPPED.parents[3]).returncode == 0
