"""Tables in and out of a request: column-wise JSON, Arrow IPC (stream or file) and parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from mlops_assets.core.columns import Columns, from_frame, from_lists
from mlops_assets.core.model.answers import FLAGS
from mlops_assets.dataset import DatasetSpec
from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.json_rows import JSON, parse_lists
from mlops_assets.serving.unpacking import Claims, check_parquet, check_stream, refuse_long_texts

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.model.answers import Answers

STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
FORMATS = (JSON, STREAM, FILE, PARQUET)
_MARK, _END = b"ARROW1\0\0", b"ARROW1"
_FOOTER_SIZE = 4  # bytes that say how long the footer is
_MOST_PARTS = 10_000  # row groups and columns of a Parquet file


def answer_format(accept: str, sent: str) -> str:
    """The format to answer in: the first that `Accept` names, where it leaves a choice that of the request.

    Raises ApiError where none of ours is accepted.
    """
    accepted = [_weighted(part) for part in accept.split(",") if part.strip()]
    for name in [name for name, weight in sorted(accepted, key=lambda item: -item[1]) if weight] or ["*/*"]:
        if name in FORMATS:
            return name
        if name in ("*/*", "application/*"):
            return sent
    raise ApiError(406, "not_acceptable", f"answers come as one of {', '.join(FORMATS)}")


def _weighted(part: str) -> tuple[str, float]:
    name, *options = (word.strip().lower() for word in part.split(";"))
    weights = [option.removeprefix("q=") for option in options if option.startswith("q=")]
    try:
        return name, float(weights[0]) if weights else 1.0
    except ValueError:
        return name, 1.0


def read_columns(body: bytes, sent: str, spec: DatasetSpec, most_rows: int) -> Columns:
    """Checked columns of a body; raises ApiError and InputError."""
    if sent == JSON:
        return from_lists(parse_lists(body, most_rows), spec)
    import pyarrow as pa

    try:
        table = _READ[sent](body, spec.inputs(), Claims.of(body, most_rows))
        table.validate(full=True)  # offsets that point nowhere would be followed
        refuse_long_texts(table)
        frame = table.to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        name = sent.rpartition(".")[2]
        raise ApiError(400, f"invalid_{name}", f"the body cannot be read as {sent}: {error!s:.200}") from None
    return from_frame(frame, spec)


def _read_stream(body: bytes, inputs: Sequence[str], claims: Claims) -> pa.Table:
    import pyarrow as pa

    return _read_arrow(pa.py_buffer(body), inputs, claims)


def _read_file(body: bytes, inputs: Sequence[str], claims: Claims) -> pa.Table:
    """A file is a stream between two marks, and a footer, which is not asked: it may name a part many times."""
    import pyarrow as pa

    if not (body.startswith(_MARK) and body.endswith(_END)) or len(body) < len(_MARK) + _FOOTER_SIZE + len(_END):
        raise ValueError("it does not begin and end as a file of Arrow does")
    end = len(body) - len(_END) - _FOOTER_SIZE
    end -= int.from_bytes(body[end : end + _FOOTER_SIZE], "little")
    if end < len(_MARK):
        raise ValueError("its footer is longer than itself")
    return _read_arrow(pa.py_buffer(body)[len(_MARK) : end], inputs, claims)


def _read_arrow(body: pa.Buffer, inputs: Sequence[str], claims: Claims) -> pa.Table:
    import pyarrow as pa

    check_stream(body, claims)
    schema = pa.ipc.open_stream(body).schema
    places = [place for place, name in enumerate(schema.names) if name in inputs]
    claims.add_columns([schema.types[place] for place in places])
    if not places:
        return pa.table({})
    options = pa.ipc.IpcReadOptions(included_fields=places, use_threads=False)
    return pa.ipc.open_stream(body, options=options).read_all()


def _read_parquet(body: bytes, inputs: Sequence[str], claims: Claims) -> pa.Table:
    """Texts stay codes of a dictionary, as they mostly are: a long one may stand in many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    limits = {"thrift_container_size_limit": _MOST_PARTS}
    schema = pq.ParquetFile(pa.BufferReader(body), **limits).schema
    columns = [schema.column(place) for place in range(len(schema))]
    places = [place for place, column in enumerate(columns) if column.path in inputs]
    if any(columns[place].max_repetition_level for place in places):
        raise ValueError("an input is a list in it")
    texts = [columns[place].path for place in places if columns[place].physical_type == "BYTE_ARRAY"]
    with pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts, **limits) as file:
        check_parquet(file, memoryview(body), places, claims)
        return file.read(columns=[columns[place].path for place in places], use_threads=False)


_READ = {STREAM: _read_stream, FILE: _read_file, PARQUET: _read_parquet}


def new_writer(media_type: str, shared: Mapping[str, Any], further: Mapping[str, str]) -> JsonWriter | ArrowWriter:
    """The writer of a format; `shared` is what the answer says beside its rows.

    `further`: columns beside prediction, low and high, with Arrow's type of each.
    """
    return JsonWriter(shared, tuple(further)) if media_type == JSON else ArrowWriter(shared, media_type, further)


class JsonWriter:
    """One object of lists. Predictions leave as they come; what stands after them is kept till the end."""

    def __init__(self, shared: Mapping[str, Any], further: Sequence[str] = ()) -> None:
        self._opening = orjson.dumps(shared)[:-1] + b',"prediction":['
        self._rows = 0
        self._low: list[bytes] = []
        self._high: list[bytes] = []
        self._further: dict[str, list[Any]] = {name: [] for name in further}
        self._flags: dict[str, dict[str, list[int]]] = {kind: {} for kind in FLAGS}

    def add(self, answers: Answers) -> bytes:
        text = (b"," if self._rows else self._opening) + _numbers(answers.prediction)
        self._low.append(_numbers(answers.low))
        self._high.append(_numbers(answers.high))
        if self._further:
            columns = answers.columns()
            for name in self._further:
                self._further[name] += columns[name].to_pylist()
        for kind, places in self._flags.items():
            for name, flags in getattr(answers, kind).items():
                places.setdefault(name, []).extend((np.flatnonzero(flags) + self._rows).tolist())
        self._rows += len(answers)
        return text

    def end(self) -> bytes:
        low, high = b",".join(self._low), b",".join(self._high)
        opening = b"" if self._rows else self._opening
        flags = orjson.dumps(self._further | self._flags)[1:]
        return b"".join([opening, b'],"low":[', low, b'],"high":[', high, b"],", flags])


def _numbers(values: np.ndarray) -> bytes:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


class ArrowWriter:
    """Record batches or row groups, each sent as soon as it is made; what JSON says beside is schema metadata."""

    def __init__(self, shared: Mapping[str, Any], media_type: str, further: Mapping[str, str] | None = None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._out = _Outlet()
        metadata = {"mlops": orjson.dumps(shared)}
        self._schema = answer_schema(further or {}).with_metadata(metadata)
        make = {STREAM: pa.ipc.new_stream, FILE: pa.ipc.new_file, PARQUET: pq.ParquetWriter}[media_type]
        self._writer = make(self._out, self._schema)

    def add(self, answers: Answers) -> bytes:
        import pyarrow as pa

        columns = [*answers.columns().values(), *(answers.names(kind) for kind in FLAGS)]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        return self._out.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._out.take()


def answer_schema(further: Mapping[str, str]) -> pa.Schema:
    """The columns of an answer as a table; `further`: Arrow's types by name of those that not every kind has."""
    import pyarrow as pa

    numbers = [(name, pa.float64()) for name in ("prediction", "low", "high")]
    numbers += [(name, pa.type_for_alias(kind)) for name, kind in further.items()]
    return pa.schema([*numbers, *((name, pa.list_(pa.string())) for name in FLAGS)])


class _Outlet(io.RawIOBase):
    """A file that only grows; what was written is taken out from time to time."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        content, self._parts = b"".join(self._parts), []
        return content
