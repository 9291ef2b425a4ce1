"""Answers to requests that were launched as runs: one Parquet file a run, whole or not there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlops_assets.core.model.answers import FLAGS
from mlops_assets.errors import InputError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.columns import Columns
    from mlops_assets.core.model.answers import Answers
    from mlops_assets.resources.artefacts.object_folder import ObjectFolder

FOLDER = "requested_predictions"
_GROUP_ROWS = 20_000  # what a page of answers costs at least
_ABOUT = b"mlops_assets"
RUN_ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


@dataclass(frozen=True)
class About:
    """What holds for all answers of a run; `at` is ISO 8601 in UTC."""

    run_id: str
    at: str
    model_version: int
    model_type: str
    unit: str


@dataclass(frozen=True)
class Page:
    """Some of a run's answers, column by column; `total` is how many there are."""

    about: About
    total: int
    columns: dict[str, list[Any]]

    def as_rows(self) -> list[dict[str, Any]]:
        """The same row by row."""
        return [dict(zip(self.columns, values, strict=True)) for values in zip(*self.columns.values(), strict=True)]


def check_run_id(text: str) -> str:
    """The id of a run as Dagster writes it; raises InputError where it is none, so that no path can be made of it."""
    if not re.fullmatch(RUN_ID, text):
        raise InputError("this is no run id: expected one such as 0f8fad5b-d9cb-469f-a165-70867728950e")
    return text


class RequestedAnswers:
    """The answers below a folder, or in `objects`, before which they pass through the folder. Raises StorageError."""

    def __init__(self, root: Path, objects: ObjectFolder | None = None) -> None:
        self._root, self._objects = root, objects

    def path(self, run_id: str) -> Path:
        return self._root / f"{check_run_id(run_id)}.parquet"

    def write(self, about: About, chunks: Iterable[tuple[Columns, Answers]]) -> int:
        """Keep rows with their answers in the order given; how many they are. An error leaves nothing behind."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(about.run_id)
        unfinished = path.with_suffix(".part")
        writer, rows = None, 0
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            try:
                for columns, answers in chunks:
                    table = _table(columns, answers, rows)
                    if writer is None:
                        schema = table.schema.with_metadata({_ABOUT: json.dumps(asdict(about)).encode()})
                        writer = pq.ParquetWriter(unfinished, schema, compression="zstd")
                    writer.write_table(table, _GROUP_ROWS)
                    rows += table.num_rows
                if writer:
                    writer.close()
                    self._keep(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
        except (OSError, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or error
            raise StorageError(f"the answers of run {about.run_id} cannot be written: {reason}") from None
        return rows

    def read(self, run_id: str, offset: int, limit: int) -> Page | None:
        """Answers from `offset` on, at most `limit`; None where this run has left none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with self._opened(self.path(run_id)) as stream, pq.ParquetFile(stream) as file:
                about = About(**json.loads(file.schema_arrow.metadata[_ABOUT]))
                table, total = _slice(file, offset, limit), file.metadata.num_rows
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise StorageError(
                f"the answers of run {run_id} are damaged ({type(error).__name__}): launch it again"
            ) from None
        columns = table.to_pydict()
        return Page(about, total, columns | {"inputs": [_as_json(row) for row in columns["inputs"]]})

    def older_than(self, moment: datetime) -> dict[str, int]:
        """Answers that were written before a moment: their bytes by run id, as far as they lie on this machine."""
        if self._objects:
            names = [name for name in self._objects.names("") if name.endswith(".parquet")]
            written_at = {name: self._objects.newest(name) for name in names}
            return {Path(name).stem: 0 for name, at in written_at.items() if at and at < moment}
        written = {path.stem: path.stat() for path in sorted(self._root.glob("*.parquet"))}
        return {run_id: stat.st_size for run_id, stat in written.items() if stat.st_mtime < moment.timestamp()}

    def remove(self, run_id: str) -> None:
        path = self.path(run_id)
        if self._objects:
            self._objects.remove([path.name])
        path.unlink(missing_ok=True)

    def _keep(self, unfinished: Path, path: Path) -> None:
        if self._objects:
            self._objects.put({path.name: unfinished})
        else:
            os.replace(unfinished, path)

    def _opened(self, path: Path) -> AbstractContextManager[BinaryIO]:
        return self._objects.open(path.name) if self._objects else path.open("rb")


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _slice(file: Any, offset: int, limit: int) -> pa.Table:
    """The rows asked for, from the row groups that hold them."""
    groups, first, skipped = [], 0, 0
    for number in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if first + rows <= offset:
            skipped += rows
        elif first < offset + limit:
            groups.append(number)
        first += rows
    return file.read_row_groups(groups).slice(offset - skipped, limit)


def _table(columns: Columns, answers: Answers, first: int) -> pa.Table:
    """Answers with their rows; what is no number is null."""
    import numpy as np
    import pyarrow as pa

    inputs = [pa.array(values, _arrow_type(values), from_pandas=True) for values in columns.values()]
    return pa.table(
        {
            "row": np.arange(first, first + len(answers)),
            "inputs": pa.StructArray.from_arrays(inputs, list(columns)),
            **answers.columns(),
            **{kind: answers.names(kind) for kind in FLAGS},
        }
    )


def _arrow_type(values: Any) -> pa.DataType:
    import pyarrow as pa

    return {"O": pa.string(), "M": pa.timestamp("us"), "f": pa.float64()}[values.dtype.kind]
