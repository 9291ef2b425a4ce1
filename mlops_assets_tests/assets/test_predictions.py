"""Batch predictions: every raw row with its interval, in batches, once for each champion."""

import numpy as np
import pytest

from mlops_assets.assets.predictions import columns
from mlops_assets.assets.records import reigns, report_by_hand
from mlops_assets.core.columns import from_table
from mlops_assets.core.model.model import FORMAT
from mlops_assets.core.prepare.cleaning import target
from mlops_assets_tests.assets.conftest import failure_of


def scored(workshop, period="2024-03"):
    return workshop.project.storage.read_table(workshop.record("predictions", period).path)


def test_every_raw_row_has_a_prediction_an_interval_and_the_version(workshop):
    project, table = workshop.project, scored(workshop)
    assert table.column_names == list(columns(project.target))
    raw = project.storage.read_table(workshop.record("raw_data", "2024-03").path)
    assert table["row_id"].to_pylist() == list(range(raw.num_rows))
    version = workshop.record("champion_model").value("champion_version")
    answers = project.registry.load(version).answer(from_table(raw, project.spec.inputs()))
    for name in ("prediction", "low", "high"):
        np.testing.assert_allclose(table[name].to_numpy(), getattr(answers, name), rtol=0, atol=1e-9)
    assert set(table["model_version"].to_pylist()) == {version}


def test_coverage_is_told_of_the_rows_whose_truth_is_known(workshop):
    project, table, record = workshop.project, scored(workshop), workshop.record("predictions", "2024-03")
    raw = project.storage.read_table(workshop.record("raw_data", "2024-03").path)
    y = target(project.spec, from_table(raw, project.spec.used_columns()))
    inside = (table["low"].to_numpy() <= y) & (y <= table["high"].to_numpy())
    assert record.value("rows_with_truth") == raw.num_rows
    assert record.value("coverage") == pytest.approx(inside.mean())
    width = table["high"].to_numpy() - table["low"].to_numpy()
    assert record.value("interval_width_mean") == pytest.approx(width.mean())
    assert record.value("learnt_from_it") is True  # a champion is refitted on the whole window
    assert record.value("prediction_mean") == pytest.approx(table["prediction"].to_numpy().mean())


def test_a_row_that_lacks_an_input_does_not_hold_up_the_period(own_workshop):
    workshop, folder = own_workshop, own_workshop.home.folder / "sales"
    workshop.change(MLOPS_SOURCE_URI=f"{folder}/sales_{{period}}.csv")
    sales = folder / "sales_2024-03.csv"
    header, first, *others = sales.read_text().splitlines()
    at, zone, _, price = first.split(",")
    gap = ",".join([at, zone, "", price])
    sales.write_text("\n".join([header, gap, *others, ""]))
    workshop.make("raw_data", "2024-03")
    assert workshop.make("predictions", "2024-03").success
    table, record = scored(workshop), workshop.record("predictions", "2024-03")
    assert record.value("rows_lacking_inputs") == 1
    assert table["lacks_inputs"].to_pylist() == [True, *[False] * len(others)]
    low = table["low"].to_pylist()
    assert low[0] is None and None not in low[1:] and table["prediction"].null_count == 0
    assert 0.5 < record.value("coverage") <= 1 and record.value("interval_width_mean") > 0


@pytest.mark.slow
def test_small_batches_give_the_same_rows(new_workshop, monkeypatch):
    monkeypatch.setattr("mlops_assets.assets.predictions.BATCH_ROWS", 37)
    monkeypatch.setattr("mlops_assets.assets.predictions.PLOTTED", 50)
    workshop = new_workshop().make_up_to("predictions")
    table = scored(workshop)
    assert table["row_id"].to_pylist() == list(range(table.num_rows))
    raw = workshop.project.storage.read_table(workshop.record("raw_data", "2024-03").path)
    version = workshop.record("champion_model").value("champion_version")
    expected = workshop.project.registry.load(version).answer(from_table(raw, workshop.project.spec.inputs()))
    np.testing.assert_allclose(table["high"].to_numpy(), expected.high, rtol=0, atol=1e-9)
    again = workshop.make("predictions", "2024-03")
    assert again.success and workshop.record("predictions", "2024-03").value("recomputed") is False


def test_rows_without_a_truth_are_predicted_and_not_counted(new_workshop):
    workshop = new_workshop()
    sales = workshop.home.folder / "sales" / "sales_2024-03.csv"
    lines = sales.read_text().splitlines()
    lines[1:101] = [line.rpartition(",")[0] + "," for line in lines[1:101]]
    sales.write_text("\n".join([*lines, ""]))
    workshop.make_up_to("predictions")
    record = workshop.record("predictions", "2024-03")
    assert record.value("dagster/row_count") == 300
    assert record.value("rows_with_truth") == 200
    assert scored(workshop)["prediction"].null_count == 0


# Final models and the champion


def test_final_models_and_the_champion_ship_all_that_answers_need(workshop):
    registry = workshop.project.registry
    champion = registry.champion()
    candidate = registry.load(int(champion.tags["candidate"]))
    model = registry.load(champion.number)
    for final in (candidate, model):
        final.self_check()
        assert final.coverage == 0.9
        assert [item.name for item in final.signature] == ["zone", "size"]
        assert len(final.golden.rows) >= 100
        assert final.contributions(from_table(_raw(workshop), ["zone", "size"])).names
    np.testing.assert_array_equal(model.intervals.above, candidate.intervals.above)
    assert model.intervals.bins.count == 3


def _raw(workshop):
    return workshop.project.storage.read_table(workshop.record("raw_data", "2024-03").path).slice(0, 5)


@pytest.mark.slow
def test_the_coverage_that_is_asked_for_makes_the_models_again(new_workshop):
    workshop = new_workshop().make_up_to("champion_model")
    workshop.change(MLOPS_COVERAGE="0.8")
    made = workshop.make("sklearn_model", "Ridge")
    assert made.success
    record = workshop.record("sklearn_model", "Ridge")
    assert "settings: coverage 0.9 -> 0.8" in record.value("reason")
    assert workshop.project.registry.load(record.value("version")).coverage == 0.8


@pytest.mark.slow
def test_a_champion_of_another_format_is_replaced_not_defended(new_workshop):
    """As after an upgrade: the model that holds the alias cannot be read any more."""
    workshop = new_workshop().make_up_to("champion_model")
    registry = workshop.project.registry
    old = registry.champion()
    path = registry.folder(old.number) / "model.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    workshop.change(MLOPS_SEED="8")
    workshop.make_up_to("champion_model")
    record = workshop.record("champion_model")
    assert record.value("decision") == "promoted"
    assert "cannot answer, so it is not defended" in record.value("defended_by")
    assert registry.champion().number > old.number


def test_a_rollback_is_followed_by_predictions_of_the_version_before(own_workshop):
    workshop = own_workshop
    assert workshop.make("predictions", "2024-03").success
    registry = workshop.project.registry
    champion, candidate = registry.champion(), registry.version(1)
    report_by_hand(workshop.instance, candidate, "rolled back", "Rolled back by hand.", reigns(registry))
    assert workshop.make("predictions", "2024-03").success
    record = workshop.record("predictions", "2024-03")
    assert record.value("model_version") == 1
    assert record.value("reason") == f"upstream: champion {champion.number} -> 1"
    assert workshop.make("champion_model").success
    decided = workshop.record("champion_model")
    assert decided.value("recomputed") is False and decided.value("champion_version") == 1


def test_without_a_champion_it_is_said_what_to_make_first(new_workshop):
    workshop = new_workshop()
    assert failure_of(workshop.make("predictions", "2024-01")).startswith("raw_data[2024-01] has not been materialised")
