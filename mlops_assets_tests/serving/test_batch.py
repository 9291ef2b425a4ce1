"""`POST /predict/batch`: a table in, answers out, in every format and across chunks, with the model's own numbers."""

import io

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.serving.batch import CHUNK_ROWS
from mlops_assets.serving.json_rows import JSON
from mlops_assets.serving.table_formats import FILE, FORMATS, PARQUET, STREAM

COUNT = 2 * CHUNK_ROWS + 1_000


@pytest.fixture(scope="module")
def table():
    """Rows of more than two chunks; a few have an unseen category or a size out of range."""
    rng = np.random.default_rng(1)
    zone = rng.integers(1, 6, COUNT).astype(float)
    size = rng.uniform(10, 60, COUNT)
    zone[7], zone[CHUNK_ROWS + 7], size[9] = 77, 77, 1e6
    whole = pa.array(zone, from_pandas=True).cast(pa.int64())
    return pa.table({"zone": whole, "size": pa.array(size, from_pandas=True)})


@pytest.fixture(scope="module")
def expected(served, table):
    return served.champion.model.answer_rows(table.to_pylist())


def packed(table, kind):
    if kind == JSON:
        return orjson.dumps(table.to_pydict())
    sink = io.BytesIO()
    if kind == PARQUET:
        pq.write_table(table, sink)
    else:
        make = pa.ipc.new_stream if kind == STREAM else pa.ipc.new_file
        with make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=5_000)
    return sink.getvalue()


def unpacked(body, kind):
    """The answer as a table, and what is told beside it."""
    if kind == JSON:
        document = orjson.loads(body)
        names = {flag: [[] for _ in range(document["rows"])] for flag in ("out_of_range", "unseen", "missing")}
        for flag, lists in names.items():
            for name, rows in document.pop(flag).items():
                for row in rows:
                    lists[row].append(name)
        columns = {name: document.pop(name) for name in ("prediction", "low", "high")}
        return pa.table(columns | names), document
    source = pa.BufferReader(body)
    if kind == PARQUET:
        answer = pq.read_table(source)
    else:
        answer = (pa.ipc.open_stream if kind == STREAM else pa.ipc.open_file)(source).read_all()
    return answer, orjson.loads(answer.schema.metadata[b"mlops"])


def ask(served, body, sent, wanted=None):
    headers = {"Content-Type": sent} | ({"Accept": wanted} if wanted else {"Accept": "*/*"})
    return served.client.post("/predict/batch", content=body, headers=headers)


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("sent", FORMATS)
def test_every_format_is_answered_in_every_format_with_the_models_own_numbers(served, table, expected, sent, wanted):
    response = ask(served, packed(table, sent), sent, wanted)
    assert (response.status_code, response.headers["content-type"]) == (200, wanted)
    answer, about = unpacked(response.content, wanted)
    for name in ("prediction", "low", "high"):
        np.testing.assert_allclose(answer[name].to_numpy(), getattr(expected, name), rtol=1e-12)
    assert (about["rows"], about["unit"], about["coverage"]) == (COUNT, "euros", 0.9)
    assert about["model"] == served.champion.card
    assert about["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("wanted", FORMATS)
def test_flags_are_told_of_the_rows_they_belong_to(served, table, wanted):
    answer, _ = unpacked(ask(served, packed(table, STREAM), STREAM, wanted).content, wanted)
    unseen, outside = (answer[name].to_pylist() for name in ("unseen", "out_of_range"))
    assert {row: names for row, names in enumerate(unseen) if names} == {7: ["zone"], CHUNK_ROWS + 7: ["zone"]}
    assert {row: names for row, names in enumerate(outside) if names} == {9: ["size"]}


def with_a_gap(table):
    return table.set_column(1, "size", pa.array([*table["size"].to_pylist()[:-1], None]))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_of_which_a_row_lacks_an_input_is_refused_with_its_place(served, table, kind):
    answer = ask(served, packed(with_a_gap(table), kind), kind)
    error = answer.json()["error"]
    assert (answer.status_code, error["row"], error["field"]) == (422, COUNT - 1, "size")
    assert f"row {COUNT - 1}: size must be given" in error["message"]


@pytest.mark.parametrize("wanted", FORMATS)
def test_where_it_may_be_missing_its_row_alone_is_flagged_and_has_no_interval(served, table, wanted, monkeypatch):
    monkeypatch.setitem(vars(served.champion.model), "required", ())
    answer, _ = unpacked(ask(served, packed(with_a_gap(table), STREAM), STREAM, wanted).content, wanted)
    assert [row for row, names in enumerate(answer["missing"].to_pylist()) if names] == [COUNT - 1]
    assert [row for row, low in enumerate(answer["low"].to_pylist()) if low is None] == [COUNT - 1]


@pytest.mark.parametrize("kind", FORMATS)
def test_without_a_choice_the_answer_comes_in_the_format_of_the_question(served, table, kind):
    assert ask(served, packed(table.slice(0, 3), kind), kind).headers["content-type"] == kind


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_without_rows_has_an_answer_without_rows(served, table, kind):
    answer, about = unpacked(ask(served, packed(table.slice(0, 0), kind), kind).content, kind)
    assert (answer.num_rows, about["rows"]) == (0, 0)


def test_the_first_format_that_is_accepted_counts(served, table):
    body = packed(table.slice(0, 3), JSON)
    for accept, kind in [
        (f"text/html, {PARQUET}, {STREAM}", PARQUET),
        (f"{JSON};q=0.2, {STREAM};q=0.9", STREAM),
        (f"{STREAM};q=0, application/*", JSON),
    ]:
        assert ask(served, body, JSON, accept).headers["content-type"] == kind


def test_what_no_format_of_ours_satisfies_is_refused(served):
    error = served.error("POST", "/predict/batch", json={"size": [1]}, headers={"Accept": "text/csv"})
    assert (error["status"], error["code"]) == (406, "not_acceptable")


def test_other_columns_of_a_table_are_of_no_account(served, table):
    wider = table.slice(0, 3).append_column("remark", pa.array([["a"], ["b"], ["c"]]))
    assert ask(served, packed(wider, STREAM), STREAM).status_code == 200


def test_dictionaries_and_narrow_numbers_are_read(served, table):
    few = table.slice(2, 50)
    narrow = pa.table({"zone": few["zone"].cast(pa.int8()).dictionary_encode(), "size": few["size"].cast(pa.float32())})
    answer, _ = unpacked(ask(served, packed(narrow, STREAM), STREAM).content, STREAM)
    expected = served.champion.model.answer_rows(narrow.to_pylist())
    np.testing.assert_allclose(answer["prediction"].to_numpy(), expected.prediction, rtol=1e-12)


@pytest.mark.parametrize(
    ("columns", "row", "field", "message"),
    [
        ({"size": [1, "large"]}, 1, "size", "row 1: size must be a number"),
        ({"size": [1, [2]]}, 1, "size", "row 1: size must be a plain value"),
        ({"size": 1}, None, "size", "size must be a list of values"),
        ({"size": [1], "zone": [1, 2]}, None, None, "every input needs the same number of values"),
        ({"colour": [1]}, None, "colour", "colour is not an input"),
        ([{"size": 1}], None, None, "send an object with a list of values for each name"),
    ],
)
def test_columns_that_cannot_be_used_are_named(served, columns, row, field, message):
    error = served.error("POST", "/predict/batch", json=columns)
    assert (error["status"], error["code"], error["row"], error["field"]) == (422, "invalid_input", row, field)
    assert message in error["message"]


def test_a_table_without_a_column_of_the_model_is_refused(served, table):
    error = served.error(
        "POST", "/predict/batch", content=packed(table.select(["size"]), STREAM), headers={"Content-Type": STREAM}
    )
    assert (error["status"], error["message"]) == (422, "missing column(s): zone (needed: zone, size)")


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET])
def test_a_damaged_table_is_refused(served, table, kind):
    body = packed(table.slice(0, 500), kind)
    for damaged in (b"", b"no table", body[: len(body) // 2], body[:-20], body[20:]):
        response = ask(served, damaged, kind)
        assert response.status_code in (200, 400), response.text  # a stream may end where its last batch does
        assert response.status_code == 400 or (kind, damaged) == (STREAM, body[:-20])


def test_a_table_with_too_many_rows_is_refused(serve, table):
    served = serve(MLOPS_SERVE_BATCH_ROWS="3")
    for kind in FORMATS:
        body, headers = packed(table.slice(0, 4), kind), {"Content-Type": kind}
        error = served.error("POST", "/predict/batch", content=body, headers=headers)
        assert (error["status"], error["code"]) == (413, "too_many_rows")
        assert ask(served, packed(table.slice(0, 3), kind), kind).status_code == 200


def test_parquet_whose_small_body_holds_a_long_text_is_refused(serve):
    served = serve(MLOPS_SERVE_BODY_MB="0.05")
    body = packed(pa.table({"zone": np.ones(200_000, np.int64), "size": np.arange(200_000) % 3 * 1.0}), PARQUET)
    assert len(body) < 50_000
    assert ask(served, body, PARQUET).status_code in (200, 413)
    text = pa.table({"zone": pa.array(["x" * 1_000_000]), "size": [1.0]})
    error = served.error("POST", "/predict/batch", content=packed(text, PARQUET), headers={"Content-Type": PARQUET})
    assert (error["status"], error["code"], error["field"]) == (422, "invalid_input", "zone")


def test_a_body_of_another_type_is_refused(served):
    error = served.error("POST", "/predict/batch", content=b"zone,size\n1,2\n", headers={"Content-Type": "text/csv"})
    assert (error["status"], error["code"]) == (415, "unsupported_media_type")
    assert all(kind in error["message"] for kind in FORMATS)
