"""Tables in and out of a request: column-wise JSON, Arrow IPC (stream or file) and parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from mlops_assets.core.columns import Columns, from_frame, from_lists
from mlops_assets.core.model.answers import FLAGS
from mlops_assets.dataset import DatasetSpec
from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.json_rows import JSON, parse_lists, too_many_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.model.answers import Answers

STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
FORMATS = (JSON, STREAM, FILE, PARQUET)
_MOST_UNPACKED = 16  # times the largest body; compressed parquet may claim any size


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


def read_columns(body: bytes, sent: str, spec: DatasetSpec, most_rows: int, most_bytes: int) -> Columns:
    """Checked columns of a body; raises ApiError and InputError."""
    if sent == JSON:
        return from_lists(parse_lists(body, most_rows), spec)
    import pyarrow as pa

    try:
        table = _READ[sent](body, most_bytes)
        table.validate(full=True)  # offsets that point nowhere would be followed
        if table.num_rows > most_rows:
            raise too_many_rows(table.num_rows, most_rows)
        names = [name for name in spec.inputs() if name in table.column_names]
        frame = table.select(names).to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        name = sent.rpartition(".")[2]
        raise ApiError(400, f"invalid_{name}", f"the body cannot be read as {sent}: {error!s:.200}") from None
    return from_frame(frame, spec)


def _read_stream(body: bytes, most_bytes: int) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(body).read_all()


def _read_file(body: bytes, most_bytes: int) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_file(body).read_all()


def _read_parquet(body: bytes, most_bytes: int) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(body))
    metadata = file.metadata
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if unpacked > _MOST_UNPACKED * most_bytes:
        raise ApiError(413, "too_large", f"unpacked, the table has {unpacked / 1e6:.0f} MB: send fewer rows at once")
    return file.read(use_threads=False)


_READ = {STREAM: _read_stream, FILE: _read_file, PARQUET: _read_parquet}


def new_writer(media_type: str, shared: Mapping[str, Any]) -> JsonWriter | ArrowWriter:
    """The writer of a format; `shared` is what the answer says beside its rows."""
    return JsonWriter(shared) if media_type == JSON else ArrowWriter(shared, media_type)


class JsonWriter:
    """One object of lists. Predictions leave as they come; what stands after them is kept till the end."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        self._opening = orjson.dumps(shared)[:-1] + b',"prediction":['
        self._rows = 0
        self._low: list[bytes] = []
        self._high: list[bytes] = []
        self._flags: dict[str, dict[str, list[int]]] = {kind: {} for kind in FLAGS}

    def add(self, answers: Answers) -> bytes:
        text = (b"," if self._rows else self._opening) + _numbers(answers.prediction)
        self._low.append(_numbers(answers.low))
        self._high.append(_numbers(answers.high))
        for kind, places in self._flags.items():
            for name, flags in getattr(answers, kind).items():
                places.setdefault(name, []).extend((np.flatnonzero(flags) + self._rows).tolist())
        self._rows += len(answers)
        return text

    def end(self) -> bytes:
        low, high = b",".join(self._low), b",".join(self._high)
        opening = b"" if self._rows else self._opening
        flags = orjson.dumps(self._flags)[1:]
        return b"".join([opening, b'],"low":[', low, b'],"high":[', high, b"],", flags])


def _numbers(values: np.ndarray) -> bytes:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


class ArrowWriter:
    """Record batches or row groups, each sent as soon as it is made; what JSON says beside is schema metadata."""

    def __init__(self, shared: Mapping[str, Any], media_type: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._out = _Outlet()
        metadata = {"mlops": orjson.dumps(shared)}
        self._schema = answer_schema().with_metadata(metadata)
        make = {STREAM: pa.ipc.new_stream, FILE: pa.ipc.new_file, PARQUET: pq.ParquetWriter}[media_type]
        self._writer = make(self._out, self._schema)

    def add(self, answers: Answers) -> bytes:
        import pyarrow as pa

        columns = [
            pa.array(answers.prediction),
            pa.array(answers.low, from_pandas=True),
            pa.array(answers.high, from_pandas=True),
            *(answers.names(kind) for kind in FLAGS),
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        return self._out.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._out.take()


def answer_schema() -> pa.Schema:
    """The columns of an answer as a table."""
    import pyarrow as pa

    numbers = [(name, pa.float64()) for name in ("prediction", "low", "high")]
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
