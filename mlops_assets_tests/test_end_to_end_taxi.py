"""The pipeline on real monthly taxi files: a period is published, the window moves, the champion is challenged."""

import pytest

from mlops_assets_tests.homes import copy_dataset, write_few_trees

OLD, NEW = ("2023-11", "2023-12", "2024-01"), "2024-02"


@pytest.fixture(scope="module")
def publish(taxi_folder, tmp_path_factory):
    """A function that publishes periods in a folder of their own; gives where they lie."""
    folder = tmp_path_factory.mktemp("published")

    def publish(*periods):
        for period in periods:
            name = f"green_tripdata_{period}.parquet"
            if not (taxi_folder / name).is_file():
                pytest.skip(f"{name} is not at hand")
            (folder / name).symlink_to(taxi_folder / name)
        return f"{folder}/green_tripdata_{{period}}.parquet"

    return publish


@pytest.fixture(scope="module")
def home(new_home, publish):
    """After a run on the old periods."""
    home = new_home(MLOPS_MODEL_TYPES="Ridge,XGBoost", MLOPS_MAX_TRIALS="2", MLOPS_TUNING_ROWS="20000")
    copy_dataset(home, "nyc_green_taxi", window={"train_periods": 1})
    home.env["MLOPS_SEARCH_SPACES"] = write_few_trees(home.folder)
    home.env["MLOPS_SOURCE_URI"] = publish(*OLD)
    answer = home.command("run")
    assert answer.code == 0, answer
    return home


@pytest.fixture(scope="module")
def first(home):
    """The records of the champion and the training set on the old periods."""
    return home.record("champion_model"), home.record("training_set")


@pytest.fixture(scope="module")
def reasons(home, first, publish):
    """What `why all` says once the new period is published."""
    publish(NEW)
    return home.command("why", "all").out


@pytest.fixture(scope="module")
def second(home, reasons):
    """The records after the next run, with what it said."""
    answer = home.command("run")
    assert answer.code == 0, answer
    return home.record("champion_model"), home.record("training_set"), answer


def test_the_first_champion_was_judged_on_the_newest_period(home, first):
    champion, training_set = first
    assert champion.value("decision") == "promoted" and champion.value("judged_on") == "test"
    assert training_set.value("train_periods") == OLD[0]
    assert training_set.value("test_periods") == OLD[-1]


def test_fault_7_a_new_period_is_seen_and_told(reasons):
    lines = {line.split("│")[1].strip(): line for line in reasons.splitlines() if line.startswith("│")}
    assert "never made" in lines[f"raw_data[{NEW}]"]
    assert "nothing changed" in lines[f"raw_data[{OLD[-1]}]"]
    assert f"clean_data[{NEW}] will be made again" in lines["training_set"]
    assert "training_set will be made again" in lines["hyperparameters[XGBoost]"]
    assert f"raw_data[{OLD[0]}]" not in lines


@pytest.mark.slow
def test_the_window_moves_by_the_period_and_says_why(first, second):
    training_set = second[1]
    assert training_set.content != first[1].content
    assert training_set.value("train_periods") == OLD[1]
    assert training_set.value("validation_periods") == OLD[-1]
    assert training_set.value("test_periods") == NEW
    assert f"data: {NEW} is new" in training_set.value("reason")
    assert f"data: {OLD[0]} is gone" in training_set.value("reason")


@pytest.mark.slow
def test_only_the_new_period_was_ingested(home, second):
    made = home.records("raw_data")
    assert list(made) == [*OLD, NEW]
    assert made[NEW].made_at > max(made[period].made_at for period in OLD)
    with home.instance() as instance:
        ingested = [run.tags["dagster/partition"] for run in instance.get_runs() if run.job_name == "ingest"]
    assert sorted(ingested) == [*OLD, NEW]


@pytest.mark.slow
def test_champion_and_challenger_meet_on_the_new_period(home, first, second):
    champion, before = second[0], first[0].value("champion_version")
    rows = champion.value("leaderboard_rows")
    assert [row["role"] for row in rows] == ["candidate", "candidate", "champion", "baseline", "baseline"]
    assert champion.value("defended_by") == f"version {before}"  # which knew nothing of the new period
    reigning = rows[2]
    assert (reigning["version"], reigning["loss"]) == (before, champion.value("champion_rmse"))
    assert champion.value("gain_low") < champion.value("gain_high")
    promoted = champion.value("gain_low") > 0 and champion.value("gain") >= 0.002
    assert (champion.value("decision") == "promoted") is promoted
    expected = champion.value("champion_version") if promoted else before
    assert home.project().registry.champion().number == expected


@pytest.mark.slow
def test_only_what_the_champion_did_not_yet_score_is_scored(home, first, second):
    scored = home.records("predictions")
    versions = {period: scored[period].value("model_version") for period in (*OLD[1:], NEW)}
    assert set(versions.values()) == {second[0].value("champion_version")}


@pytest.mark.slow
def test_a_search_starts_from_the_best_parameters_of_the_period_before(home, second):
    tracking = home.project().tracking
    trials = tracking.client.search_runs(
        [tracking.experiment_id],
        "tags.model_type = 'XGBoost' AND tags.trial != ''",
        order_by=["attributes.start_time ASC"],
    )
    before, after = trials[:2], trials[2:]
    assert len(before) == len(after) == 2
    best = min(before, key=lambda trial: trial.data.metrics["validation_rmse"])
    assert after[0].data.params == best.data.params


@pytest.mark.slow
def test_without_another_period_nothing_is_to_do(home, second):
    assert "Nothing to do: every asset is up to date." in home.command("run").out
