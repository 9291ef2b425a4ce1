"""`run` and `why`, and their exit codes."""

import pytest

from mlops_assets_tests.homes import write_period, write_yaml
from mlops_assets_tests.warm import TRUE_PYTHON


@pytest.fixture(scope="module")
def lab(new_shop):
    """A shop after a run, in which tests may change things."""
    shop = new_shop()
    assert shop.command("run").code == 0
    return shop


def problems(answer):
    return [line for line in answer.out.splitlines() if " failed: " in line or " cannot be made: " in line]


def rows(answer):
    """The cells of the table that a command showed."""
    lines = [line for line in answer.out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]


def test_a_run_with_nothing_to_do_starts_none_and_says_so_asset_by_asset(shop):
    before = shop.run_ids()
    answer = shop.command("run")
    assert answer.code == 0 and answer.err == ""
    assert "Nothing to do: every asset is up to date." in answer.out
    assert "For example:" not in answer.out
    unchanged = {
        asset: (computed, left) for asset, computed, left, _, why in rows(answer)[:7] if why == "nothing changed"
    }
    assert unchanged == {
        "raw_data": ("", "3"),
        "clean_data": ("", "3"),
        "training_set": ("", "1"),
        "hyperparameters": ("", "1"),
        "sklearn_model": ("", "1"),
        "champion_model": ("", "1"),
        "predictions": ("", "3"),
    }
    assert shop.run_ids() == before


def test_a_run_with_nothing_to_do_does_not_pay_for_what_it_does_not_need(shop):
    script = "import sys; from mlops_assets.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    process = shop.process("run", script=script, python=TRUE_PYTHON)
    assert process.returncode == 0, process.stderr
    loaded = process.stdout.splitlines()[-1].split()
    assert not {"mlflow", "pandas", "sklearn", "xgboost", "scipy"} & set(loaded)


def test_why_tells_all_or_one_asset(shop):
    every, one = shop.command("why", "all"), shop.command("why", "training_set", MLOPS_SEED="8")
    assert every.code == one.code == 0
    assert [why for _, _, why in rows(every)] == ["nothing changed"] * 19
    assert rows(one) == [["training_set", "yes", "settings: seed 7 -> 8"]]


def test_an_asset_that_is_not_there_is_named(shop):
    answer = shop.command("why", "raw")
    assert answer.code == 2
    assert answer.err.startswith("mlops-assets: 'raw' is not an asset (assets: raw_data, clean_data, ")


def test_partitions_that_fail_alike_are_told_once(lab):
    bad = [lab.folder / "sales" / f"sales_2024-0{period}.csv" for period in (4, 5, 6)]
    for file in bad:
        file.write_text("at,zone,size,cost\n")
    try:
        answer = lab.command("run")
    finally:
        for file in bad:
            file.unlink()
    assert answer.code == 1
    (told,) = problems(answer)
    assert told.startswith("raw_data[2024-04] failed: ") and told.endswith(" (and 2 more failed like it)")


def test_run_stops_where_all_that_is_left_needs_what_failed_and_says_so_there(new_shop):
    shop = new_shop()
    for file in (shop.folder / "sales").iterdir():
        file.write_text("at,zone,size,cost\n")
    answer = shop.command("run")
    assert answer.code == 1
    said = answer.out.splitlines()
    (at,) = (number for number, line in enumerate(said) if line.startswith("raw_data[2024-01] failed: "))
    assert said[at + 1] == "Nothing else can be made without raw_data."
    assert not any(line.startswith("training_set") for line in said)


def test_a_failed_model_type_leaves_the_others_and_the_exit_code_is_1(lab):
    spaces = write_yaml(lab.folder / "spaces.yaml", {"Lasso": {"parameters": {"alpha": {"fixed": -1}}}})
    types = "Ridge,linear_model.LinearRegression,Lasso"
    answer = lab.command("run", MLOPS_MODEL_TYPES=types, MLOPS_SEARCH_SPACES=spaces)
    assert answer.code == 1
    (told,) = problems(answer)
    assert told.startswith("hyperparameters[Lasso] failed: all 1 trials failed")
    assert "linear_model.LinearRegression: trial 1 of 3" in answer.out
    assert list(lab.records("sklearn_model")) == ["Ridge", "linear_model.LinearRegression"]
    assert lab.record("champion_model").value("not_fitted") == "Lasso"


def test_an_example_is_shown_where_the_gate_has_decided(lab):
    write_period(lab.folder / "sales", "2024-04")
    answer = lab.command("run")
    assert answer.code == 0, answer
    inputs, said = answer.out.partition("For example: ")[2].splitlines()[:2]
    assert inputs.startswith("zone=") and "size=" in inputs
    assert said.startswith("  -> ") and " euros (it was " in said


def test_an_mlflow_run_that_another_dagster_owns_is_left_alone(lab):
    """Two people may share an MLflow: what the one's Dagster does not know is not his to end."""
    tracking = lab.project().tracking
    foreign = tracking.client.create_run(tracking.experiment_id, tags={"dagster_run_id": "of-someone-else"})
    assert lab.command("run", MLOPS_SEED="8").code == 0
    assert tracking.client.get_run(foreign.info.run_id).info.status == "RUNNING"


def test_two_datasets_in_one_home_do_not_touch_each_other(lab):
    document = lab.project().spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    other = write_yaml(lab.folder / "market.yaml", document | {"name": "market"})
    assert {why for _, computed, why in rows(lab.command("why", "raw_data", MLOPS_DATASET=other))} == {"never made"}
    assert {why for _, computed, why in rows(lab.command("why", "raw_data"))} == {"nothing changed"}
