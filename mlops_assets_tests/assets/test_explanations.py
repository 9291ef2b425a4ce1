"""Explanations and the model card, as they are shown in Dagster and kept in MLflow."""

import json
import re

import pytest

from mlops_assets.assets.explanations import explained, read_artefact, stored_explanation

MARCH = "2024-03"


def told(workshop, asset, partition=None):
    return dict(workshop.record(asset, partition).facts)


def artefact(workshop, version, path):
    registry = workshop.project.registry
    return read_artefact(workshop.project, registry.version(version).run_id, path)


@pytest.fixture(scope="module")
def champion(workshop):
    return told(workshop, "champion_model")


@pytest.mark.parametrize(("asset", "partition"), [("sklearn_model", "Ridge"), ("xgboost_model", None)])
def test_each_final_model_shows_what_it_goes_by_and_keeps_it_in_mlflow(workshop, asset, partition):
    shown = told(workshop, asset, partition)
    assert "| size |" in shown["importance"] and "mean absolute contribution (euros)" in shown["importance"]
    for name in ("importance", "contributions", "waterfalls", "dependence"):
        assert "data:image/svg+xml" in shown[f"{name}_plot"]
    assert ("coefficients_plot" in shown) is (partition == "Ridge")
    kept = json.loads(artefact(workshop, shown["version"], "explanation/explanation.json"))
    assert next(name for name, _ in kept["importance"]) == "size"
    assert shown["explained_rows"] == kept["rows"] == len(kept["contributions"]["base"]) == 300


def test_an_explanation_is_made_once(workshop):
    version = workshop.project.registry.version(told(workshop, "sklearn_model", "Ridge")["version"])
    before = stored_explanation(workshop.project, version).to_json()
    again = explained(workshop.instance, workshop.project, version, "a period that nobody asks for")
    assert stored_explanation(workshop.project, version).to_json() == before
    assert again["importance"].value == told(workshop, "sklearn_model", "Ridge")["importance"]


def test_the_champions_card_tells_all_that_one_asks(workshop, champion):
    card = champion["model_card"]
    titles = re.findall("^## (.*)$", card, re.MULTILINE)
    assert titles == [
        "What it predicts",
        "Data",
        "Inputs",
        "How good it is",
        "What it goes by",
        "Limits",
        "How to make it again",
    ]
    assert card.startswith(f"# shop, version {champion['champion_version']}: {champion['champion_type']}")
    assert champion["verdict"] in card
    for period in ("2024-01", "2024-02", MARCH):
        assert f"| {period} | 300 |" in card
    assert "| zone | integer | 5 categories |" in card
    assert "low third of predictions" in card and "| zone 1 |" in card
    assert "Intervals are made to hold 90% of the true values." in card
    assert "MLOPS_DATASET=shop.yaml MLOPS_SEED=7 MLOPS_MODEL_TYPES=Ridge,XGBoost mlops-assets run" in card


def test_the_cards_figures_are_those_of_the_model_that_won_on_rows_it_had_not_seen(workshop, champion):
    candidate = workshop.project.registry.version(champion["champion_version"]).tags["candidate"]
    card = champion["model_card"]
    assert f"Version {candidate} on rows that it has not learnt from (test, {MARCH}):" in card
    (line,) = [line for line in card.splitlines() if line.startswith("| all rows |")]
    assert line.split(" | ")[2] == f"{champion['challenger_rmse']:.4g}"


def test_the_page_stands_alone_for_light_and_dark(workshop, champion):
    page = artefact(workshop, champion["champion_version"], "model_card/model_card.html")
    assert page.startswith("<!doctype html>") and 'content="light dark"' in page
    assert "data:image/svg+xml;base64," in page
    assert not re.findall('(?:src|href)="(?!data:)', page) and "<script" not in page
    assert artefact(workshop, champion["champion_version"], "model_card/model_card.md") == champion["model_card"]


@pytest.mark.slow
def test_a_later_decision_shows_the_card_of_the_champion_that_stays(new_workshop):
    workshop = new_workshop().make_up_to("champion_model")
    before = told(workshop, "champion_model")
    workshop.change(MLOPS_MINIMUM_GAIN="0.5")
    assert workshop.make("champion_model").success
    shown = told(workshop, "champion_model")
    assert (shown["recomputed"], shown["champion_version"]) == (True, before["champion_version"])
    assert shown["model_card"] == before["model_card"]
