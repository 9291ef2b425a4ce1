"""The entry point: help, wrong words, and errors in one line."""

import re

import pytest

from mlops_assets_tests.homes import Home

COMMANDS = ("run", "why", "predict", "rollback", "history", "doctor", "dev")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_help_names_every_command(home):
    told = home.command("--help")
    assert told.code == 0
    assert set(re.findall(r"^\W*(\w+) ", told.out, re.MULTILINE)) >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(home, command):
    told = home.command(command, "--help")
    assert told.code == 0
    assert f"mlops-assets {command}" in told.out


@pytest.mark.parametrize("words", [["runn"], ["why"], ["run", "now"], ["predict", "x.json", "--versoin", "1"]])
def test_a_wrong_word_is_told_with_exit_code_2(home, words):
    told = home.command(*words)
    assert told.code == 2
    assert "Usage: mlops-assets" in told.err


def test_an_expected_error_is_one_line_and_exit_code_2(home):
    told = home.command("run", MLOPS_DATASET="nyc_taxi")
    assert (told.code, told.out) == (2, "")
    assert re.fullmatch(r"mlops-assets: 'nyc_taxi' is not a dataset: .*\n", told.err)
