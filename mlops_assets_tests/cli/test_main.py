"""The entry point: help, wrong words, and errors in one line."""

import errno
import gc
import os
import re
import sys

import pytest

from mlops_assets import instance_storage
from mlops_assets.cli import importing
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


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "is full"), (errno.EIO, "gives errors")])
@pytest.mark.parametrize("named", [True, False])
def test_a_disk_that_fails_where_a_library_writes_is_one_line_too(home, monkeypatch, number, told, named):
    def fail(folder, data):
        raise OSError(number, os.strerror(number), *[folder] * named)

    monkeypatch.setattr(instance_storage, "sqlite_storage", fail)
    answer = home.command("run")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith("mlops-assets: the disk at /") and told in answer.err


@pytest.fixture
def frozen(monkeypatch):
    """As in a process that has not imported Dagster; gives what was frozen."""
    calls = []
    monkeypatch.delitem(sys.modules, "dagster")
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("frozen"))
    before = gc.get_threshold()
    yield calls
    gc.set_threshold(*before)
    gc.enable()


def test_no_garbage_is_looked_for_while_a_command_is_imported(frozen):
    with importing():
        assert not gc.isenabled()
    assert (gc.isenabled(), frozen) == (True, ["frozen"])


def test_garbage_is_looked_for_again_after_an_import_that_failed(frozen):
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_where_dagster_is_loaded_nothing_is_changed():
    assert "dagster" in sys.modules
    before = gc.get_threshold()
    with importing():
        assert gc.isenabled()
    assert gc.get_threshold() == before
