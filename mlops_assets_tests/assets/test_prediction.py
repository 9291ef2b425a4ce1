"""Batch predictions: every raw row of a month, by the version that is champion."""

import numpy as np
import pytest

from mlops_assets.assets.records import report_rollback
from mlops_assets_tests.assets.conftest import failure_of


def test_every_raw_row_is_scored_and_names_the_version(workshop):
    record, champion = workshop.record("predictions", "2024-03"), workshop.record("champion_model")
    table = workshop.project.storage.read_table(record.path)
    raw = workshop.project.storage.read_table(workshop.record("raw_data", "2024-03").path)
    version = champion.value("champion_version")
    assert table["row_id"].to_pylist() == list(range(raw.num_rows))
    assert set(table["model_version"].to_pylist()) == {version}
    assert record.value("model_version") == version
    assert record.value("model_type") == champion.value("champion_type")
    expected = workshop.project.registry.load(version).predict(raw.select(["zone", "size"]).to_pandas())
    assert np.array_equal(table["prediction"].to_numpy(), expected)
    assert record.value("prediction_mean") == pytest.approx(expected.mean())


def test_a_rollback_is_followed_by_predictions_of_the_version_before(new_workshop):
    workshop = new_workshop().make_up_to("champion_model")
    assert workshop.make("predictions", "2024-03").success
    registry = workshop.project.registry
    champion, candidate = registry.champion(), registry.version(1)
    report_rollback(workshop.instance, before=champion, now=candidate)
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
