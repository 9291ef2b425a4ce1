"""A model is tried in a process of its own: one that ends the process that reads it ends that one."""

import json
import shutil
from pathlib import Path

import pytest
import xgboost

from mlops_assets.core.model.files import digest, new_pair, sign
from mlops_assets.errors import ModelError
from mlops_assets.resources.mlflow import rehearsal
from mlops_assets.resources.mlflow.rehearsal import Rehearsals

SAVED = Path(__file__).parents[2] / "core" / "model" / "saved" / "format_2"


def killer(target):
    """A logged model whose trees point to nowhere: XGBoost loads it, and ends the process when it shall answer."""
    folder = Path(shutil.copytree(SAVED / "XGBoost", target))
    path = folder / "data" / "model" / "estimator.ubj"
    booster = xgboost.Booster()
    booster.load_model(bytearray(path.read_bytes()))
    document = json.loads(bytes(booster.save_raw("json")))
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        tree["left_children"] = [10**8 if child > 0 else child for child in tree["left_children"]]
        tree["right_children"] = [10**8 if child > 0 else child for child in tree["right_children"]]
    path.write_text(json.dumps(document))
    about = json.loads(path.with_name("model.json").read_text())
    about["files"][path.name] = digest(path)
    path.with_name("model.json").write_text(json.dumps(about))
    return folder


def test_a_model_that_passes_is_not_tried_again(monkeypatch):
    folder = SAVED / "Ridge" / "data" / "model"
    Rehearsals()(folder)
    monkeypatch.setattr("subprocess.Popen", None)
    Rehearsals()(folder)


def test_one_that_ends_the_process_is_refused(tmp_path):
    with pytest.raises(ModelError, match="ended the process by SIGSEGV"):
        Rehearsals()(killer(tmp_path / "logged") / "data" / "model")


def test_one_that_is_not_signed_is_refused_and_one_that_is_passes(tmp_path):
    folder = Path(shutil.copytree(SAVED / "Ridge" / "data" / "model", tmp_path / "model"))
    signing, verify = new_pair()
    about = folder / "model.json"
    about.write_text(about.read_text() + "\n")  # a model that no test has tried yet
    with pytest.raises(ModelError, match="is not signed"):
        Rehearsals([verify])(folder)
    sign(folder, signing)
    Rehearsals([verify])(folder)


def test_one_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    folder = Path(shutil.copytree(SAVED / "Ridge" / "data" / "model", tmp_path / "model"))
    about = folder / "model.json"
    about.write_text(about.read_text() + " ")
    monkeypatch.setattr(rehearsal, "SECONDS", 0.05)
    with pytest.raises(ModelError, match="was not loaded within"):
        Rehearsals()(folder)
