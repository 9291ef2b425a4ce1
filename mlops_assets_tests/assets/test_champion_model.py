"""The gate as an asset: promotion on proof, a refit on the whole window, and no champion at any price."""

import numpy as np
import pytest

from mlops_assets.assets import leaderboard
from mlops_assets.errors import ModelError, TrackingError
from mlops_assets_tests.assets.conftest import failure_of
from mlops_assets_tests.homes import write_yaml


def write_random_period(folder, period):
    """Sales whose price has nothing to do with anything."""
    rng = np.random.default_rng(int(period.replace("-", "")))
    values = zip(
        rng.integers(1, 6, 300), rng.gamma(2, 15, 300).round(2), rng.uniform(10, 20, 300).round(2), strict=True
    )
    lines = (f"{period}-01T10:00,{zone},{size},{price}" for zone, size, price in values)
    (folder / f"sales_{period}.csv").write_text("\n".join(["at,zone,size,price", *lines, ""]))


def test_the_first_champion_is_the_challenger_refitted_on_the_whole_window(workshop):
    record, registry = workshop.record("champion_model"), workshop.project.registry
    champion = registry.champion()
    candidate = registry.version(int(champion.tags["candidate"]))
    assert record.value("decision") == "promoted"
    assert record.value("verdict").startswith("Promoted: there is no champion yet, and RMSE ")
    assert (record.value("champion_version"), record.value("champion_type")) == (champion.number, champion.model_type)
    assert champion.model_type == candidate.model_type == record.value("challenger")
    assert champion.tags["periods"] == "2024-01,2024-02,2024-03"
    assert record.value("challenger_rmse") == record.value("leaderboard_rows")[0]["loss"]
    rows = [{"zone": 1, "size": 30.0}, {"zone": 5, "size": 3.0}]
    assert (
        registry.load(champion.number).predict(rows).tolist() != registry.load(candidate.number).predict(rows).tolist()
    )


def test_the_verdict_is_on_the_version_and_on_its_run(workshop):
    record, champion = workshop.record("champion_model"), workshop.project.registry.champion()
    run = workshop.project.tracking.client.get_run(champion.run_id)
    for tags in (champion.tags, run.data.tags):
        assert tags["verdict"] == record.value("verdict")
        assert tags["judged_on"] == "test"
        assert tags["role"] == "champion"
    assert run.data.tags["dagster_run_id"] == record.run_id
    assert run.data.metrics["test_rmse"] == record.value("challenger_rmse")
    client = workshop.project.tracking.client
    version = client.get_model_version("shop", str(record.value("champion_version")))
    assert version.description.startswith(record.value("verdict")[:40])
    assert "\n## " in version.description  # the card below
    for row in record.value("leaderboard_rows"):  # can be sorted by in MLflow, too
        if row["role"] == "candidate":
            candidate = client.get_run(client.get_model_version("shop", str(row["version"])).run_id)
            assert candidate.data.metrics["test_rmse"] == row["loss"]
            assert candidate.inputs.dataset_inputs[0].dataset.name == "shop"


def test_the_record_shows_tables_and_plots(workshop):
    record = workshop.record("champion_model")
    assert record.value("leaderboard").startswith("| model | version | trials | validation RMSE | test RMSE (euros)")
    for name in ("leaderboard_plot", "gain_plot"):
        assert "data:image/svg+xml;base64," in record.value(name)
    assert record.value("not_fitted") == "none"


def test_a_promotion_that_was_killed_before_it_could_be_recorded_is_found_and_told_once(workshop_up_to, monkeypatch):
    workshop = workshop_up_to("sklearn_model")
    promote = type(workshop.project.registry).promote

    def promote_and_die(registry, *args, **kwargs):
        promote(registry, *args, **kwargs)
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(workshop.project.registry), "promote", promote_and_die)
        assert not workshop.make("champion_model").success
    assert workshop.make("champion_model").success
    record = workshop.record("champion_model")
    assert record.value("decision") == "promoted"
    assert record.value("verdict").startswith("Promoted: there is no champion yet")
    assert record.value("champion_version") == 2  # one candidate and one champion
    with pytest.raises(TrackingError, match="cannot find version 3"):
        workshop.project.registry.version(3)


def test_a_refit_that_was_killed_before_its_promotion_is_not_made_twice(workshop_up_to, monkeypatch):
    workshop = workshop_up_to("sklearn_model")

    def die(*args, **kwargs):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(workshop.project.registry), "promote", die)
        assert not workshop.make("champion_model").success
    assert workshop.make("champion_model").success
    assert workshop.project.registry.champion().number == 2
    assert [run.info.run_name for run in workshop.mlflow_runs()].count("champion Ridge") == 1


def test_a_refit_that_is_worse_than_its_judged_twin_stays_out(workshop_up_to, monkeypatch):
    workshop = workshop_up_to("sklearn_model")
    monkeypatch.setattr("mlops_assets.assets.champion_model.REFIT_MARGIN", -0.5)
    assert workshop.make("champion_model").success
    record, champion = workshop.record("champion_model"), workshop.project.registry.champion()
    assert champion.number == record.value("champion_version") == 1  # the candidate itself: no refit is registered
    assert "It goes live as it was judged: fitted on all rows, its RMSE" in record.value("verdict")
    assert (champion.tags["role"], champion.tags["verdict"]) == ("champion", record.value("verdict"))
    assert float(champion.tags["promised_rmse"]) == record.value("challenger_rmse")
    assert record.value("model_card")
    assert workshop.make("predictions", "2024-03").success


def test_slices_are_on_the_record(new_workshop):
    workshop = new_workshop()
    rules = workshop.project.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    rules["gate"] = {"groups": ["zone"], "slices": ["zone", {"column": "size", "edges": [20]}]}
    workshop.change(MLOPS_DATASET=write_yaml(workshop.home.folder / "sliced.yaml", rules))
    workshop.make_up_to("champion_model")
    record = workshop.record("champion_model")
    names = [row["slice"] for row in record.value("slice_rows")]
    assert {"size below 20", "size from 20"} <= set(names) and "zone 1" in names
    assert record.value("slices").startswith("| slice | rows | challenger RMSE (euros) | champion RMSE |")
    assert record.value("judged_by") in ("5 groups of zone",) or record.value("judged_by").endswith(" days")


@pytest.fixture
def lab(own_workshop):
    """A workshop with a champion of type Ridge."""
    return own_workshop


def test_the_verdict_says_how_many_days_there_were_and_what_they_could_have_shown(lab):
    record = lab.record("champion_model")
    times = lab.project.storage.read_table(lab.record("clean_data", "2024-03").path, ["at"])["at"].to_numpy()
    days, visible = len(np.unique(times.astype("M8[D]"))), record.value("smallest_visible_gain")
    assert record.value("judged_by") == f"{days} days"
    assert f"Judged by {days} days: a gain of {visible:.2%} or more" in record.value("verdict")
    assert record.value("look") == 1


def test_checks_ask_whether_the_champion_answers_and_whether_it_is_worth_asking(lab, monkeypatch):
    def checks():
        result = lab.make("champion_model")
        found = result.get_asset_check_evaluations()
        return {check.check_name: (check.passed, check.description) for check in found}

    (answers, said), (beats, how_good) = checks().values()
    assert answers and "golden rows as in training; no signature is asked for" in said
    assert beats and how_good.startswith("RMSE (euros) ") and how_good.endswith(" without a model")

    def damaged(*args):
        raise ModelError("the model file is damaged")

    monkeypatch.setattr("mlops_assets.core.model.model.Model.self_check", damaged)
    number = lab.record("champion_model").value("champion_version")
    assert checks()["answers_as_trained"] == (False, f"version {number}: the model file is damaged")


def test_a_challenger_that_breaks_what_is_expected_is_not_promoted_and_one_that_is_only_told_is(lab, monkeypatch):
    rules = lab.project.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    falls = {"kind": "monotone", "column": "size", "direction": "down"}

    def expect(*expected):
        path = write_yaml(lab.home.folder / "expecting.yaml", rules | {"expect": list(expected)})
        lab.change(MLOPS_DATASET=path)

    expect(falls, {"kind": "bounds", "low": -1000})
    lab.project.tracking.client.delete_registered_model_alias("shop", "champion")
    (check,) = lab.make("sklearn_model", "Ridge").get_asset_check_evaluations()
    assert lab.record("sklearn_model", "Ridge").value("recomputed") is False  # only its behaviour is looked at anew
    assert (check.check_name, check.passed, check.severity.name) == ("behaves_as_expected", False, "WARN")
    assert check.description.startswith(
        "monotone: size down is broken by 100.00% of 300 rows, one of which is answered"
    )
    assert check.metadata["bounds: from -1000"].value == 0
    assert '"size": "' in check.metadata["monotone: size down, such as"].value
    assert lab.make("champion_model").success
    refused = lab.record("champion_model")
    assert refused.value("decision") == "refused" and lab.project.registry.champion() is None
    told = f"Not promoted: it does not behave as expected: {check.description.partition(' rows,')[0]}"
    assert refused.value("verdict").startswith(told)

    expect(falls | {"blocking": False})
    found = iter([leaderboard.unmet, lambda *refit: ("size falls",)])  # of the candidate, and of its refit
    monkeypatch.setattr(leaderboard, "unmet", lambda *asked: next(found)(*asked))
    assert lab.make("champion_model").success
    promoted = lab.record("champion_model")
    assert promoted.value("reason").startswith("settings: expect ")
    assert (promoted.value("decision"), promoted.value("champion_version")) == ("promoted", 1)
    assert "It goes live as it was judged: fitted on all rows, size falls." in promoted.value("verdict")


def test_an_equal_challenger_is_no_challenger(lab):
    before = lab.record("champion_model").value("champion_version")
    lab.change(MLOPS_MINIMUM_GAIN="0.01")
    assert lab.make("champion_model").success
    record = lab.record("champion_model")
    assert record.value("reason") == "settings: minimum_gain 0.002 -> 0.01"
    assert record.value("decision") == "none"
    assert record.value("verdict").startswith("Nothing to decide: the best candidate, version 1, is the champion's own")
    assert record.value("champion_version") == before == lab.project.registry.champion().number


def test_a_challenger_that_is_not_provably_better_is_not_promoted(lab):
    lab.change(MLOPS_MODEL_TYPES="Ridge,LinearRegression")
    for asset in ("hyperparameters", "sklearn_model"):
        assert lab.make(asset, "LinearRegression").success
    assert lab.make("champion_model").success
    record = lab.record("champion_model")
    assert record.value("decision") in ("refused", "none")
    assert record.value("champion_type") == "Ridge"
    assert lab.project.registry.champion().model_type == "Ridge"
    assert record.value("verdict").startswith(("Not promoted: ", "Nothing to decide: "))
    assert record.value("look") == (2 if record.value("decision") == "refused" else 1)  # at the same rows


def test_a_model_type_without_a_model_is_named(lab):
    lab.change(MLOPS_MODEL_TYPES="Ridge,Lasso", MLOPS_MINIMUM_GAIN="0.02")
    assert lab.make("champion_model").success
    assert lab.record("champion_model").value("not_fitted") == "Lasso"


def test_clean_data_that_changed_since_must_become_a_training_set_first(lab):
    rules = lab.project.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    rules["target"]["keep"] = [20, 1000]
    path = write_yaml(lab.home.folder / "stricter.yaml", rules)
    lab.change(MLOPS_DATASET=path, MLOPS_MINIMUM_GAIN="0.03")
    for period in ("2024-01", "2024-02", "2024-03"):
        assert lab.make("clean_data", period).success
    told = failure_of(lab.make("champion_model"))
    assert told == "clean data or settings have changed since training_set: materialise training_set first"


def test_a_candidate_that_does_not_beat_the_mean_becomes_no_champion(new_workshop):
    workshop = new_workshop()
    for period in ("2024-01", "2024-02", "2024-03"):
        write_random_period(workshop.home.folder / "sales", period)
    workshop.make_up_to("champion_model")
    record = workshop.record("champion_model")
    assert record.value("decision") == "refused"
    assert (record.value("champion_version"), record.value("champion_type")) == (0, "none")
    assert "the baseline 'mean" in record.value("verdict")
    assert workshop.project.registry.champion() is None
    told = failure_of(workshop.make("predictions", "2024-01"))
    why = "no candidate has passed the gate (the verdict of champion_model says why)"
    assert told == f"there is no champion to predict with: {why}"
