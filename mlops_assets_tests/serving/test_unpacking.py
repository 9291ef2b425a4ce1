"""What a table would take is known from its headers: what is too much is refused before anything is unpacked."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.errors import InputError
from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.table_formats import FILE, PARQUET, STREAM, read_columns

MOST = 100_000
LONG = "x" * 4_000_000


@pytest.fixture(scope="module")
def spec(shop):
    return shop.project().spec


def arrow(table, compression=None, new=pa.ipc.new_stream, batches=1):
    target = io.BytesIO()
    with new(target, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for _ in range(batches):
            writer.write_table(table)
    return target.getvalue()


def parquet(table, **options):
    target = io.BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def in_all_formats(table):
    yield from ((arrow(table, compression), STREAM) for compression in (None, "zstd", "lz4"))
    yield from ((arrow(table, compression, pa.ipc.new_file), FILE) for compression in (None, "zstd"))
    for options in (
        {},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"use_dictionary": False, "row_group_size": 7},
        {"write_page_checksum": True, "write_page_index": True, "data_page_size": 64},
    ):
        yield parquet(table, **options), PARQUET


def refusal(body, sent, spec):
    before = pa.total_allocated_bytes()
    with pytest.raises((ApiError, InputError)) as caught:
        read_columns(body, sent, spec, MOST)
    assert pa.total_allocated_bytes() - before < 10_000_000
    return caught.value


def test_every_format_gives_the_same_columns(spec):
    table = pa.table({"size": [1.5, None] * 50, "zone": [3, 4] * 50, "unknown": ["a", "b"] * 50})
    for body, sent in in_all_formats(table):
        columns = read_columns(body, sent, spec, MOST)
        assert columns["zone"].tolist() == [3, 4] * 50
        assert np.array_equal(columns["size"], np.array([1.5, np.nan] * 50), equal_nan=True)


def test_rows_are_counted_before_they_are_unpacked(spec):
    table = pa.table({"size": np.zeros(1_000_000), "zone": np.zeros(1_000_000, np.int64)})
    for body, sent in ((arrow(table, "zstd"), STREAM), (arrow(table, "zstd", pa.ipc.new_file), FILE)):
        assert refusal(body, sent, spec).code == "too_many_rows"
    assert refusal(parquet(table, compression="zstd"), PARQUET, spec).code == "too_many_rows"


def test_many_small_batches_are_counted_together(spec):
    body = arrow(pa.table({"size": np.zeros(10_000), "zone": np.zeros(10_000, np.int64)}), "zstd", batches=11)
    assert refusal(body, STREAM, spec).code == "too_many_rows"


def test_bytes_are_counted_before_they_are_unpacked_those_of_unknown_columns_too(spec):
    texts = pa.table({"zone": [1] * 50, "unknown": [LONG] * 50})
    assert refusal(arrow(texts, "zstd"), STREAM, spec).code == "too_large"


def test_a_column_of_parquet_that_no_model_has_is_not_unpacked(spec):
    table = pa.table({"zone": [1] * 50, "size": [1.0] * 50, "unknown": [LONG] * 50})
    body = parquet(table, compression="zstd", use_dictionary=False)
    assert len(read_columns(body, PARQUET, spec, MOST)["zone"]) == 50
    assert refusal(
        parquet(table.rename_columns(["a", "b", "zone"]), compression="zstd", use_dictionary=False), PARQUET, spec
    )


def test_a_long_text_of_a_dictionary_is_not_copied_for_each_row(spec):
    codes = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), pa.array([LONG]))
    table = pa.table({"zone": codes, "size": np.zeros(50_000)})
    for body, sent in ((arrow(table, "zstd"), STREAM), (parquet(table, compression="zstd"), PARQUET)):
        assert len(body) < 20_000
        assert "zone holds a text of 4,000,000 bytes" in str(refusal(body, sent, spec))


def test_what_parquet_says_in_its_footer_is_not_gone_by(spec):
    """Its sums are changed to small ones; the pages themselves say what they unpack to."""
    table = pa.table({"zone": [1] * 60, "size": pa.array([LONG] * 60)})
    body = parquet(table, compression="zstd", use_dictionary=False)
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    sizes = {metadata.row_group(0).total_byte_size, metadata.row_group(0).column(1).total_uncompressed_size}
    for size in sizes:
        body = body.replace(_varint(size), _varint(1).ljust(len(_varint(size)) - 1, b"\x80") + b"\x00")
    assert refusal(body, PARQUET, spec)


def _varint(number):
    number <<= 1
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


@pytest.mark.parametrize(
    "values",
    [
        pa.array([LONG] * 3, pa.string_view()),
        pa.array([[1.0]] * 3),
        pa.array([{"a": 1}] * 3),
        pa.RunEndEncodedArray.from_arrays(pa.array([90_000], pa.int32()), pa.array([1.0])),
        pa.array([b"x"] * 3),
    ],
    ids=lambda values: str(values.type)[:20],
)
def test_columns_whose_values_stand_for_many_bytes_are_not_taken(spec, values):
    assert "are not taken" in str(refusal(arrow(pa.table({"size": values})), STREAM, spec))


def test_texts_that_each_begin_as_the_one_before_are_not_taken(spec):
    table = pa.table({"zone": ["x" * 1_000] * 500})
    body = parquet(table, use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    assert "DELTA_BYTE_ARRAY are not taken" in str(refusal(body, PARQUET, spec))


def test_more_columns_than_anybody_has_are_refused(spec):
    body = parquet(pa.table({f"c{number}": [1] for number in range(10_001)}))
    assert refusal(body, PARQUET, spec).code == "invalid_parquet"


@pytest.mark.parametrize("sent", [STREAM, FILE, PARQUET])
def test_damaged_bytes_are_one_clear_error(spec, sent):
    table = pa.table({"size": np.arange(500.0), "zone": np.arange(500)})
    body = (
        parquet(table, compression="zstd")
        if sent == PARQUET
        else arrow(table, "zstd", pa.ipc.new_file if sent == FILE else pa.ipc.new_stream)
    )
    rng = np.random.default_rng(7)
    for _ in range(400):
        damaged = bytearray(body)
        for place in rng.integers(0, len(body), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        try:
            read_columns(bytes(damaged[: rng.integers(len(body) // 2, len(body) + 1)]), sent, spec, MOST)
        except (ApiError, InputError) as error:
            assert str(error)


@pytest.mark.parametrize("sent", [STREAM, FILE])
def test_rows_that_damage_would_lose_without_a_word_are_an_error(spec, sent):
    table = pa.table({"size": np.arange(500.0), "zone": np.arange(500)})
    body = arrow(table, None, pa.ipc.new_file if sent == FILE else pa.ipc.new_stream, batches=3)
    assert len(read_columns(body, sent, spec, MOST)["zone"]) == 1_500
    batch = body.index(b"\xff\xff\xff\xff", len(body) // 2)
    early_end = body[:batch] + b"\xff\xff\xff\xff\0\0\0\0" + body[batch + 8 :]
    for damaged in (early_end, body + body, body[:batch] + body[batch + 5_000 :]):
        assert refusal(damaged, sent, spec).code == f"invalid_{sent.rpartition('.')[2]}"


@pytest.mark.parametrize("size", [0, 1_000_000, 2**32 - 1])
def test_a_footer_that_lies_about_its_length_is_an_error(spec, size):
    body = arrow(pa.table({"size": [1.0]}), None, pa.ipc.new_file)
    assert refusal(body[:-10] + size.to_bytes(4, "little") + body[-6:], FILE, spec).code == "invalid_file"
    assert refusal(body[:8] + body[-6:], FILE, spec).code == "invalid_file"
