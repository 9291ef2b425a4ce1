"""Who takes part in the contest, and on which rows."""

from dataclasses import replace

import numpy as np
import pytest

from mlops_assets.assets.champion_model import candidates
from mlops_assets.assets.leaderboard import as_markdown, baseline_outputs, hold_contest, leaderboard
from mlops_assets.assets.records import Records
from mlops_assets.assets.training_set import chosen_periods
from mlops_assets.core.prepare.splitting import Periods
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.training_set import TrainingSet, split_rows
from mlops_assets.dataset import DatasetSpec
from mlops_assets.dataset.target import Target
from mlops_assets_tests.homes import SHOP

EUROS = target_of(Target(column="price", unit="euros"))
FILES = {"kind": "files", "uri": "sales_{period}.csv"}


@pytest.fixture(scope="module")
def scene(workshop):
    """Rows by split, their periods, the training set's vocabularies and the fitted candidates."""
    project, built = workshop.project, workshop.record("training_set")
    periods, cleaned = chosen_periods(Records(workshop.instance), project)
    tables = [project.storage.read_table(record.path) for record in cleaned.values()]
    parts = split_rows(project.spec, tables, periods, project.settings.seed)
    vocabularies = TrainingSet.load(project.storage.local_folder(built.path)).encoder.vocabularies
    return parts, periods, vocabularies, candidates(Records(workshop.instance), project, built)


@pytest.fixture
def reigning(workshop, monkeypatch):
    """A function that lets a version reign, with other tags where given."""
    registry = workshop.project.registry

    def reign(number, **tags):
        version = registry.version(number)
        kept = {name: value for name, value in (version.tags | tags).items() if value is not None}
        monkeypatch.setattr(registry, "champion", lambda: replace(version, tags=kept))

    return reign


def champion_number(workshop):
    return workshop.record("champion_model").value("champion_version")


def test_the_challenger_is_the_best_on_validation_and_is_judged_on_test(workshop, scene):
    contest = hold_contest(workshop.project, *scene)
    assert contest.judged_on == "test"
    losses = [entry.validation_loss for entry in contest.candidates]
    assert losses == sorted(losses)
    assert contest.challenger is contest.candidates[0]
    assert len(contest.challenger.losses) == len(scene[0]["test"])
    assert contest.challenger.interval.low < contest.challenger.loss < contest.challenger.interval.high


def test_without_test_periods_validation_judges(workshop, scene):
    parts, periods, *rest = scene
    without = parts | {"test": replace(parts["test"], columns={}, y=np.empty(0))}
    contest = hold_contest(workshop.project, without, Periods(periods.train, periods.validation, ()), *rest)
    assert contest.judged_on == "validation"
    assert len(contest.challenger.losses) == len(parts["validation"])


def test_a_champion_that_has_seen_the_judged_period_is_stood_in_for_by_the_model_that_won_for_it(workshop, scene):
    contest = hold_contest(workshop.project, *scene)
    number = champion_number(workshop)
    assert contest.reigning.number == number
    assert contest.champion.version == int(contest.reigning.tags["candidate"]) != number
    assert "which was fitted without the periods it is judged on" in contest.champion_note


def test_a_champion_from_before_the_judged_period_defends_itself(workshop, scene, reigning):
    number = champion_number(workshop)
    reigning(number, periods="2023-11,2023-12")
    contest = hold_contest(workshop.project, *scene)
    assert contest.champion.version == number
    assert contest.champion_note == f"version {number}"


def test_a_candidate_that_was_given_the_alias_by_hand_defends_itself(workshop, scene, reigning):
    """It learnt from the train split alone, though its tag names all periods of its training set."""
    number = workshop.record("sklearn_model", "Ridge").value("version")
    reigning(number)
    contest = hold_contest(workshop.project, *scene)
    assert contest.champion.version == number


def test_a_champion_that_needs_a_column_which_is_gone_is_not_defended_and_that_is_told(
    workshop, scene, reigning, monkeypatch
):
    number, load = champion_number(workshop), workshop.project.registry.load
    columns, features = SHOP["columns"] | {"age": {}}, {"categorical": ["zone"], "numeric": {"size": {}, "age": {}}}
    spec = DatasetSpec.model_validate(SHOP | {"source": FILES, "columns": columns, "features": features})

    def load_older(version):
        return replace(load(version), spec=spec) if version == number else load(version)

    monkeypatch.setattr(workshop.project.registry, "load", load_older)
    reigning(number, periods="2023-12")
    contest = hold_contest(workshop.project, *scene)
    assert contest.champion is None
    told = f"version {number} needs age, which clean data no longer has: it is not defended"
    assert contest.champion_note == told
    assert contest.verdict.promote


def test_without_a_champion_the_baselines_alone_are_to_be_beaten(workshop, scene, monkeypatch):
    monkeypatch.setattr(workshop.project.registry, "champion", lambda: None)
    contest = hold_contest(workshop.project, *scene)
    assert contest.champion is None and contest.verdict.champion is None
    assert contest.verdict.promote
    assert contest.champion_note == "there is no champion yet"


def test_baselines_are_the_mean_and_the_mean_of_the_main_categories(workshop, scene):
    parts, _, vocabularies, _ = scene
    found = baseline_outputs(workshop.project, parts["train"], parts["test"], vocabularies)
    assert list(found) == ["mean", "mean of zone"]
    y, zones = parts["train"].y, parts["train"].columns["zone"]
    assert found["mean"] == pytest.approx(np.full(len(parts["test"]), y.mean()))
    first = parts["test"].columns["zone"][0]
    assert found["mean of zone"][0] == pytest.approx(y[zones == first].mean())


def test_the_leaderboard_has_candidates_then_the_champion_then_baselines(workshop, scene):
    rows = leaderboard(hold_contest(workshop.project, *scene))
    assert [row["role"] for row in rows] == ["candidate", "candidate", "champion", "baseline", "baseline"]
    assert {row["model"] for row in rows[:2]} == {"Ridge", "XGBoost"}
    assert all(row["low"] < row["loss"] < row["high"] for row in rows)
    assert rows[0]["trials"] == 3 and rows[0]["fit_seconds"] >= 0 and rows[3]["trials"] is None


def test_the_leaderboard_as_markdown_has_a_line_for_each_row(workshop, scene):
    rows = leaderboard(hold_contest(workshop.project, *scene))
    lines = as_markdown(rows, "test", EUROS, 0.9).splitlines()
    assert "test RMSE (euros) | 90% interval" in lines[0]
    assert len(lines) == len(rows) + 2
    assert lines[-1].startswith("| baseline: mean of zone |  |  |  | ")
