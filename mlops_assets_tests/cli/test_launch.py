"""What `launch` refuses before it asks anybody; what it does is tested with the page on the API."""

import pytest

from mlops_assets_tests.homes import Home
from mlops_assets_tests.servers import free_port


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path, MLOPS_DAGSTER_URL=f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict"], "launch predict needs either --rows or --file"),
        (["predict", "--rows", "{}", "--file", "x.csv"], "launch predict needs either --rows or --file"),
        (["predict", "--rows", "{"], "--rows is not JSON"),
        (["predict", "--rows", "[]"], "--rows must be an object, or a list of objects"),
        (["predict", "--rows", "[1]"], "--rows must be an object, or a list of objects"),
        (["predict", "--file", "x.csv", "--model-type", "Ridge"], "--model-type is not for launch predict"),
        (["retrain", "--rows", "{}"], "--rows is not for launch retrain"),
        (["retrain", "--version", "3"], "--version is not for launch retrain"),
        (["tune"], "launch tune needs --model-type, such as XGBoost"),
        (["tune", "--model-type", "Ridge", "--file", "x.csv"], "--file is not for launch tune"),
    ],
)
def test_options_that_do_not_go_together_are_named(home, words, message):
    answer = home.command("launch", *words)
    assert answer.code == 2
    assert answer.err.startswith(f"mlops-assets: {message}")


def test_a_server_that_is_not_there_is_one_line_and_exit_code_2(home):
    answer = home.command("launch", "retrain", "--wait")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("mlops-assets: Dagster at 127.0.0.1:")
    assert len(answer.err.splitlines()) == 1


def test_the_address_of_the_option_goes_before_that_of_the_settings(home):
    answer = home.command("launch", "retrain", "--url", "http://127.0.0.1:1")
    assert "Dagster at 127.0.0.1:1 does not answer" in answer.err


def test_what_cannot_be_launched_is_refused_with_what_can(home):
    answer = home.command("launch", "promote")
    assert answer.code == 2
    assert "'predict', 'retrain', 'tune'" in answer.err
