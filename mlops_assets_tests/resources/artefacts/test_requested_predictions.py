"""Answers that a run leaves: whole or not there, read a page at a time, under no name but a run's."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops_assets.core.model.answers import Answers
from mlops_assets.errors import InputError, StorageError
from mlops_assets.resources.artefacts import requested_predictions
from mlops_assets.resources.artefacts.object_folder import ObjectFolder
from mlops_assets.resources.artefacts.requested_predictions import About, RequestedAnswers

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
ABOUT = About(RUN, "2026-03-01T12:00:00+00:00", 7, "Ridge", "minutes")


def chunk(rows, first=0):
    n = np.arange(first, first + rows, dtype=float)
    columns = {
        "at": np.datetime64("2024-01-01T08:00", "us") + n.astype("timedelta64[D]"),
        "town": np.array(["Ay", None] * rows, object)[:rows],
        "size": np.where(n % 3 == 1, np.nan, n),
    }
    flags = {"size": n % 2 == 0, "at": n % 4 == 0}
    return columns, Answers(n * 10, n * 10 - 1, np.where(n == 1, np.nan, n * 10 + 1), flags, {"town": n > 1})


@pytest.fixture
def answers(tmp_path):
    return RequestedAnswers(tmp_path / "answers")


def test_answers_come_out_as_they_went_in(answers):
    assert answers.write(ABOUT, [chunk(3)]) == 3
    page = answers.read(RUN, 0, 100)
    assert (page.about, page.total) == (ABOUT, 3)
    first, second, third = page.as_rows()
    assert first == {
        "row": 0,
        "inputs": {"at": "2024-01-01T08:00:00", "town": "Ay", "size": 0.0},
        "prediction": 0.0,
        "low": -1.0,
        "high": 1.0,
        "out_of_range": ["size", "at"],
        "unseen": [],
        "missing": [],
    }
    assert second["inputs"] == {"at": "2024-01-02T08:00:00", "town": None, "size": None}
    assert (second["high"], second["out_of_range"]) == (None, [])
    assert (third["out_of_range"], third["unseen"]) == (["size"], ["town"])


def test_rows_are_numbered_over_all_chunks(answers):
    answers.write(ABOUT, [chunk(3), chunk(2, first=3)])
    assert answers.read(RUN, 0, 100).columns["row"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("offset", "limit"), [(0, 1), (4, 3), (5, 100), (0, 12), (11, 5), (12, 1), (500, 10)])
def test_a_page_holds_the_rows_asked_for_wherever_they_lie(answers, monkeypatch, offset, limit):
    monkeypatch.setattr(requested_predictions, "_GROUP_ROWS", 5)
    answers.write(ABOUT, [chunk(7), chunk(5, first=7)])
    page = answers.read(RUN, offset, limit)
    assert page.columns["row"] == list(range(12))[offset : offset + limit]
    assert page.total == 12


def test_chunks_without_a_flag_or_a_text_go_with_those_that_have_some(answers):
    columns, plain = chunk(2)
    empty = {name: values.copy() for name, values in columns.items()}
    empty["town"][:] = None
    answers.write(ABOUT, [(empty, Answers(plain.prediction, plain.low, plain.high, {}, {})), chunk(2)])
    assert answers.read(RUN, 0, 9).columns["out_of_range"] == [[], [], ["size", "at"], []]


def test_an_error_leaves_nothing_behind(answers, tmp_path):
    def chunks():
        yield chunk(3)
        raise InputError("row 3 is no row")

    with pytest.raises(InputError, match="row 3"):
        answers.write(ABOUT, chunks())
    assert list((tmp_path / "answers").iterdir()) == []
    assert answers.read(RUN, 0, 1) is None


def test_no_row_leaves_no_file(answers):
    assert answers.write(ABOUT, []) == 0
    assert answers.read(RUN, 0, 1) is None


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", RUN.upper(), RUN + "/..", "{" + RUN + "}", RUN[:-1]])
def test_what_is_no_run_id_reaches_no_path(answers, name):
    with pytest.raises(InputError, match="this is no run id"):
        answers.read(name, 0, 1)


def test_a_damaged_file_is_told(answers, tmp_path):
    answers.write(ABOUT, [chunk(3)])
    (tmp_path / "answers" / f"{RUN}.parquet").write_bytes(b"PAR1 no more PAR1")
    with pytest.raises(StorageError, match=f"the answers of run {RUN} are damaged"):
        answers.read(RUN, 0, 1)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        RequestedAnswers(tmp_path / "file").write(ABOUT, [chunk(1)])


@pytest.fixture(params=["files", "store"])
def old_answers(request, tmp_path):
    """Answers in files, and in an object store."""
    objects = ObjectFolder(request.getfixturevalue("bucket")) if request.param == "store" else None
    return RequestedAnswers(tmp_path / "answers", objects)


def test_what_was_written_before_a_moment_is_found_and_can_be_removed(old_answers):
    old_answers.write(ABOUT, [chunk(3)])
    now = datetime.now(UTC)
    assert old_answers.older_than(now - timedelta(hours=1)) == {}
    assert list(old_answers.older_than(now + timedelta(hours=1))) == [RUN]
    for _ in range(2):
        old_answers.remove(RUN)
    assert old_answers.read(RUN, 0, 10) is None
    assert old_answers.older_than(now + timedelta(hours=1)) == {}
