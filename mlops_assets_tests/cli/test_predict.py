"""`predict`: rows from JSON or CSV, one number each."""

import json
import os
import sys
from io import StringIO

import pandas as pd
import pytest

ROWS = [{"zone": 1, "size": 20.0}, {"zone": 4, "size": 7.5}]


@pytest.fixture
def written(tmp_path):
    """A function that writes a file of rows and gives its path."""

    def write(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def told(answer):
    assert answer.code == 0, answer
    return [json.loads(line) for line in answer.out.splitlines()]


@pytest.fixture(scope="module")
def expected(shop):
    registry = shop.project().registry
    return registry.load(registry.champion().number).predict(ROWS)


def test_each_row_has_a_line_with_the_version_that_answers(shop, written, expected):
    answers = told(shop.command("predict", written("rows.json", json.dumps(ROWS))))
    assert [answer["prediction"] for answer in answers] == pytest.approx(expected, abs=1e-6)
    assert {answer["model_version"] for answer in answers} == {2}
    assert {(answer["unit"], answer["model_type"]) for answer in answers} == {("euros", "Ridge")}


def test_one_object_is_one_row(shop, written, expected):
    (answer,) = told(shop.command("predict", written("row.json", json.dumps(ROWS[0]))))
    assert answer["prediction"] == pytest.approx(expected[0], abs=1e-6)


def test_rows_may_come_from_standard_input(shop, monkeypatch, expected):
    monkeypatch.setattr(sys, "stdin", StringIO(json.dumps(ROWS)))
    answers = told(shop.command("predict", "-"))
    assert [answer["prediction"] for answer in answers] == pytest.approx(expected, abs=1e-6)


def test_a_csv_comes_back_with_predictions_beside_its_rows(shop, written, tmp_path, expected):
    output = tmp_path / "answer.csv"
    rows = written("rows.csv", "size,zone\n20,1\n7.5,4\n")
    answer = shop.command("predict", rows, "--output", str(output))
    assert answer.out == f"2 predictions of version 2 (Ridge) are in {output}\n"
    table = pd.read_csv(output)
    assert list(table.columns) == ["size", "zone", "prediction", "model_version"]
    assert table["prediction"].tolist() == pytest.approx(expected)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_another_version_can_be_asked(shop, written):
    path = written("rows.json", json.dumps(ROWS))
    assert {answer["model_version"] for answer in told(shop.command("predict", path, "--version", "1"))} == {1}
    answer = shop.command("predict", path, "--version", "99")
    assert answer.code == 2 and "version 99 of 'shop'" in answer.err


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("rows.json", "{", "rows.json is not JSON"),
        ("rows.json", "[1]", "must hold an object, or a list of objects"),
        ("rows.csv", "", "rows.csv is not a CSV table"),
        ("rows.csv", "zone,price\n1,2\n", "size"),
        ("rows.csv", "zone,size\n1,2,3,4\n", "its rows have more values than its header has names"),
    ],
)
def test_a_file_that_holds_no_rows_is_named(shop, written, name, text, says):
    answer = shop.command("predict", written(name, text))
    assert answer.code == 2 and says in answer.err and answer.err.count("\n") == 1


def test_a_file_that_is_not_there_is_named(shop):
    answer = shop.command("predict", "absent.json")
    assert (answer.code, answer.err) == (
        2,
        "mlops-assets: absent.json does not exist: give a .json or .csv file, or - for standard input\n",
    )


def test_before_the_first_run_it_says_what_to_do(new_shop, written):
    answer = new_shop().command("predict", written("rows.json", json.dumps(ROWS)))
    assert answer.code == 2
    assert "shop has no champion yet: run the pipeline first (mlops-assets run)" in answer.err


def test_an_answer_file_is_replaced_only_by_a_whole_one(shop, written, tmp_path, monkeypatch):
    output = tmp_path / "answer.csv"
    output.write_text("the answer before")

    def fail(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    answer = shop.command("predict", written("rows.json", json.dumps(ROWS)), "--output", str(output))
    assert answer.code == 2 and f"{output} cannot be written: No space left on device" in answer.err
    assert output.read_text() == "the answer before"
