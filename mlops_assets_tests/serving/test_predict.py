"""`POST /predict`: the same numbers as the model's own, for one row and for many, with all that is told beside."""

import numpy as np
import orjson
import pytest

from mlops_assets.core.model.row_scorer import RowScorer
from mlops_assets.serving.predict import MOST_EXPLAINED

ROW = {"zone": 3, "size": 42.5}


def numbers(answers):
    return [[answer["prediction"], answer["interval"]["low"], answer["interval"]["high"]] for answer in answers]


def test_one_row_is_answered_with_an_object(served):
    answer = served.client.post("/predict", json=ROW).json()
    expected = served.champion.model.answer_rows([ROW])
    assert numbers([answer]) == [[expected.prediction[0], expected.low[0], expected.high[0]]]
    assert answer["interval"]["low"] < answer["prediction"] < answer["interval"]["high"]
    assert (answer["unit"], answer["coverage"]) == ("euros", 0.9)
    assert (answer["out_of_range"], answer["unseen"]) == ([], [])
    assert "contributions" not in answer


def test_an_answer_says_which_model_gave_it_and_where_that_came_from(served):
    model = served.client.post("/predict", json=ROW).json()["model"]
    champion = served.project.registry.champion()
    assert (model["name"], model["version"], model["type"]) == ("shop", champion.number, "Ridge")
    assert model["training_set"] == champion.tags["training_set"]
    assert champion.run_id in model["mlflow_run"]
    run = served.project.tracking.client.get_run(champion.run_id)
    assert model["dagster_run"].endswith(run.data.tags["dagster_run_id"])


def test_a_list_is_answered_in_its_order_with_the_numbers_of_training(served, rows):
    answers = served.client.post("/predict", json=rows).json()["predictions"]
    golden = served.champion.model.golden.expected
    expected = np.column_stack([golden[name] for name in ("prediction", "low", "high")])
    np.testing.assert_allclose(numbers(answers), expected, rtol=1e-9)


def test_rows_one_by_one_are_answered_as_in_a_list(served, rows):
    one_by_one = [served.client.post("/predict", json=row).json() for row in rows[:20]]
    together = served.client.post("/predict", json=rows[:20]).json()["predictions"]
    np.testing.assert_allclose(numbers(one_by_one), numbers(together), rtol=1e-12)


def test_an_empty_list_has_an_empty_answer(served):
    assert served.client.post("/predict", json=[]).json()["predictions"] == []


def test_many_rows_are_answered_as_few_are(served, rows):
    many = (rows * 20)[:2_000]
    answers = served.client.post("/predict", json=many).json()["predictions"]
    few = served.client.post("/predict", json=many[:5]).json()["predictions"]
    assert len(answers) == len(many)
    np.testing.assert_allclose(numbers(answers[:5]), numbers(few), rtol=1e-12)


def test_unseen_categories_and_values_out_of_range_are_flagged_by_row(served):
    odd = [ROW, ROW | {"zone": 77}, ROW | {"size": 1e6}]
    answers = served.client.post("/predict", json=odd).json()["predictions"]
    assert [answer["unseen"] for answer in answers] == [[], ["zone"], []]
    assert [answer["out_of_range"] for answer in answers] == [[], [], ["size"]]


def test_contributions_are_told_when_asked_for_and_sum_to_the_prediction(served):
    answer = served.client.post("/predict?explain=true", json=ROW).json()
    told = answer["contributions"]
    assert told["base"] + sum(told["features"].values()) == pytest.approx(answer["prediction"], abs=1e-9)
    sizes = [abs(value) for value in told["features"].values()]
    assert sizes == sorted(sizes, reverse=True)
    listed = served.client.post("/predict?explain=1", json=[ROW, ROW]).json()["predictions"]
    assert [answer["contributions"] for answer in listed] == [told, told]


@pytest.mark.parametrize(
    ("row", "lacking"), [({"zone": 3}, "size"), (ROW | {"size": None}, "size"), ({}, "zone, size")]
)
@pytest.mark.parametrize("query", ["", "?explain=true"])
def test_a_row_that_lacks_what_training_rows_always_had_is_refused(served, query, row, lacking):
    error = served.error("POST", f"/predict{query}", json=[ROW, row])
    assert (error["status"], error["code"], error["row"]) == (422, "invalid_input", 1)
    assert error["field"] == lacking.partition(",")[0]
    assert error["message"].startswith(f"row 1: {lacking} must be given")


def test_where_it_may_be_missing_it_is_flagged_and_the_answer_has_no_interval(served, monkeypatch):
    model = served.champion.model
    monkeypatch.setitem(vars(model), "required", ())
    monkeypatch.setitem(vars(model), "row_scorer", RowScorer(model, model._for_few_rows))
    whole, lacking, null = served.client.post("/predict", json=[ROW, {"zone": 3}, ROW | {"size": None}]).json()[
        "predictions"
    ]
    assert whole["missing"] == [] and whole["interval"]
    assert lacking["missing"] == null["missing"] == ["size"]
    assert lacking["interval"] is None is null["interval"]
    assert lacking["prediction"] == null["prediction"]


@pytest.mark.parametrize("name", ["zone", "size"])
def test_a_very_long_text_is_refused_and_named(served, name):
    for text in ("x" * 257, "9" * 5_000_000):
        error = served.error("POST", "/predict", json=[ROW, ROW | {name: text}])
        assert (error["status"], error["row"], error["field"]) == (422, 1, name)
        assert error["message"] == f"row 1: {name} is longer than 256 characters, which no category is"


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ({"size": "large"}, "size", "size must be a number"),
        ({"zone": 2.5}, "zone", "zone must be a whole number: 2.5 is not whole"),
        ({"size": [1]}, "size", "size must be a plain value"),
        ({"colour": "red"}, "colour", "colour is not an input (inputs: zone, size)"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_field(served, row, field, message):
    error = served.error("POST", "/predict", json=[ROW, ROW | row])
    assert (error["status"], error["code"], error["row"], error["field"]) == (422, "invalid_input", 1, field)
    assert message in error["message"]


@pytest.mark.parametrize("place", [5, 1_500])
def test_a_bad_row_is_found_however_many_there_are(served, place):
    rows = [dict(ROW) for _ in range(2_000)]
    rows[place]["size"] = "large"
    error = served.error("POST", "/predict", json=rows)
    assert (error["row"], error["field"]) == (place, "size")


BAD_BODIES = {
    "nothing": (b"", 400, "invalid_json"),
    "half": (b'{"size": 1', 400, "invalid_json"),
    "not UTF-8": (b'{"size": "\xff"}', 400, "invalid_json"),
    "NaN": (b'{"size": NaN}', 400, "invalid_json"),
    "a number beyond floats": (b'{"size": 1e999}', 400, "invalid_json"),
    "deep": (b"[" * 100_000, 400, "invalid_json"),
    "deep, but closed": (b"[" * 1_000 + b"]" * 1_000, 422, "invalid_input"),
    "a name twice": (b'{"size": 1, "size": 2}', 400, "repeated_name"),
    "a name twice, spaced": (b'{"size" : 1, "zone": 2, "size"\n:3}', 400, "repeated_name"),
    "a name twice, escaped": (b'{"size": 1, "s\\u0069ze": 2}', 400, "repeated_name"),
    "a text": (b'"size"', 422, "invalid_input"),
    "a number": (b"1", 422, "invalid_input"),
    "null": (b"null", 422, "invalid_input"),
    "a list of numbers": (b"[1, 2]", 422, "invalid_input"),
    "a list in a list": (b"[[{}]]", 422, "invalid_input"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_not_rows_is_refused_with_a_reason(served, name):
    body, status, code = BAD_BODIES[name]
    error = served.error("POST", "/predict", content=body, headers={"Content-Type": "application/json"})
    assert (error["status"], error["code"]) == (status, code)
    assert len(error["message"]) < 300


def test_values_that_hold_colons_and_quotes_are_no_repeated_names(served):
    body = orjson.dumps(ROW).replace(b":42", b" :42")
    assert served.client.post("/predict", content=body, headers={"Content-Type": "application/json"}).status_code == 200
    error = served.error("POST", "/predict", json=ROW | {"size": 'a":b'})
    assert (error["status"], error["field"]) == (422, "size")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_refused(served, content_type):
    error = served.error("POST", "/predict", content=orjson.dumps(ROW), headers={"Content-Type": content_type})
    assert (error["status"], error["code"]) == (415, "unsupported_media_type")
    assert "Content-Type: application/json" in error["message"]


def test_parameters_of_the_content_type_are_of_no_account(served):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert served.client.post("/predict", content=orjson.dumps(ROW), headers=headers).status_code == 200


def test_a_compressed_body_is_refused(served):
    error = served.error("POST", "/predict", json=ROW, headers={"Content-Encoding": "gzip"})
    assert (error["status"], error["code"]) == (415, "unsupported_encoding")


def test_a_wrong_parameter_is_named(served):
    error = served.error("POST", "/predict?explain=maybe", json=ROW)
    assert (error["status"], error["field"], error["message"]) == (422, "explain", "explain must be true or false")


def test_more_rows_than_the_settings_allow_are_refused(serve):
    served = serve(MLOPS_SERVE_LIST_ROWS="3")
    assert served.client.post("/predict", json=[ROW] * 3).status_code == 200
    error = served.error("POST", "/predict", json=[ROW] * 4)
    assert (error["status"], error["code"]) == (413, "too_many_rows")
    assert "4 rows are more than 3" in error["message"]


def test_more_rows_than_can_be_explained_are_refused(served):
    error = served.error("POST", "/predict?explain=true", json=[ROW] * (MOST_EXPLAINED + 1))
    assert (error["status"], error["code"]) == (413, "too_many_rows")
