"""A table as it lies somewhere: the keys of `source` that find it, and rows to look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.dataset import Dialect
from mlops_assets.dataset.parts import FileFormat
from mlops_assets.dataset.periods import Every
from mlops_assets.errors import BadTable, InputError
from mlops_assets.onboarding.places import hides, is_database, matching, opened, shown
from mlops_assets.onboarding.profile import SAMPLE
from mlops_assets.onboarding.sniff import HEAD, LINES, layout_of, sniff
from mlops_assets.sources.database import Database
from mlops_assets.sources.delimited import read_texts, why_not
from mlops_assets.sources.delta import opened as delta_table
from mlops_assets.sources.diagnosis import damaged, format_told, kind_told, wide_encoding
from mlops_assets.sources.formats import ENDINGS, damage
from mlops_assets.sources.other_formats import cells_of, is_blank, read_arrow, read_excel, read_json, workbook_of
from mlops_assets.sources.raw import Opened, Packing, opener
from mlops_assets.sources.retries import Retry

if TYPE_CHECKING:
    import pyarrow as pa

_PACKINGS: tuple[Packing, ...] = ("zip", "gz", "zst", "bz2", "xz")
# How names of files tell their periods, and what stands for that in a URI; the longest first.
_PERIODS: tuple[tuple[str, str, Every], ...] = (
    (r"(?P<period>\d{4}-\d\d-\d\dT\d\d)", "{period}", "hour"),
    (r"(?P<period>\d{4}-\d\d-\d\d)", "{period}", "day"),
    (r"(?P<yyyy>\d{4})(?P<mm>\d\d)(?P<dd>\d\d)", "{yyyy}{mm}{dd}", "day"),
    (r"(?P<period>\d{4}-\d\d)", "{period}", "month"),
    (r"(?P<yyyy>\d{4})_(?P<mm>\d\d)", "{yyyy}_{mm}", "month"),
    (r"(?P<yyyy>\d{4})(?P<mm>\d\d)", "{yyyy}{mm}", "month"),
    (r"(?P<period>\d{4})", "{period}", "year"),
)


@dataclass(frozen=True)
class Found:
    """`source`: keys of the YAML; `table`: rows, of which the whole has `rows`; `notes`: what people should look at.

    Of files by period: how long these are, the first and the last. `secret`: the URL that the environment has to give.
    """

    name: str
    source: dict[str, Any]
    table: pa.Table
    rows: int
    notes: tuple[str, ...] = ()
    every: Every | None = None
    first: str = ""
    last: str = ""
    secret: str = ""
    by_sql: bool = field(default=False)


def look(place: str, table: str | None, timeout: float) -> Found:
    """The table at a path or URL, in a folder or a pattern of files by period, in a Delta table, or in a database.

    Raises InputError, BadTable or SourceError that says what is missing.
    """
    if is_database(place):
        return _in_database(place, table, timeout)
    if table:
        raise InputError("--table is for a database: give its URL, such as postgresql://host/name")
    if "://" not in place and (Path(place).expanduser() / "_delta_log").is_dir():
        return _delta(place)
    found = matching(place)
    files = found if len(found) == 1 else [name for name in found if _kind(name)]
    if not files:
        raise InputError(f"{shown(place)} is no file, folder, pattern of files or database that can be read here")
    return _one_file(files[0], timeout) if len(files) == 1 else _by_period(files, timeout)


def _delta(place: str) -> Found:
    label = f"the Delta table {place}"
    rows = delta_table(place, label).to_pyarrow_table()
    return Found(dataset_name(place), {"kind": "delta", "uri": place}, rows, rows.num_rows)


def _one_file(place: str, timeout: float) -> Found:
    label = shown(place)
    named, packed = _kind(label) or (None, None)
    kind: FileFormat = named or "csv"
    with opened(place, timeout) as stream:
        unpacked = opener(stream, packed, label)
        try:
            if kind == "csv":  # what is called so is often something else
                with unpacked() as inner:
                    kind = format_told(inner.read(HEAD)) or "csv"
            keys, table, notes = _read(unpacked, kind, label)
        except damage():
            raise damaged(kind, label) from None
    name = dataset_name(label)
    secret = f"{name.upper()}_URL" if hides(place) else ""
    keys |= {} if kind == named else {"format": kind}
    source = {"kind": "files", "uri": f"${{{secret}}}" if secret else place} | keys
    return Found(name, source, table, table.num_rows, notes, secret=secret)


def _by_period(files: Sequence[str], timeout: float) -> Found:
    """The first, the middle and the newest of them are looked at."""
    import pyarrow as pa

    for pattern, fields, every in _PERIODS:
        matches = [re.search(rf"(?<!\d){pattern}(?!\d)", name) for name in map(_last_part, files)]
        uris = {
            name.removesuffix(last := _last_part(name)) + last[: match.start()] + fields + last[match.end() :]
            for name, match in zip(files, matches, strict=True)
            if match
        }
        if all(matches) and len(uris) == 1:
            names = sorted("-".join(match.groups()) for match in matches if match)
            looked = [_one_file(files[number], timeout) for number in sorted({0, len(files) // 2, len(files) - 1})]
            rows = round(sum(one.rows for one in looked) / len(looked) * len(files))
            columns = looked[-1].table.column_names
            lacking = {one.source["uri"]: [c for c in columns if c not in one.table.column_names] for one in looked}
            like_newest = [one.table for one in looked if not lacking[one.source["uri"]]]
            notes = [f"{_last_part(uri)} has no column {', '.join(gone)}" for uri, gone in lacking.items() if gone]
            whole = pa.concat_tables([table.select(columns) for table in like_newest], promote_options="permissive")
            uri = uris.pop()
            name = dataset_name(re.sub(r"\{\w+\}", "", uri)) or "table"
            return replace(
                looked[-1], name=name, source=looked[-1].source | {"uri": uri}, table=whole, rows=rows, every=every,
                first=names[0], last=names[-1], notes=(*looked[-1].notes, *notes),
            )  # fmt: skip
    raise InputError(
        f"{len(files)} files whose names differ in more than their period: join them to one, or name them such as "
        "sales_2024-01.csv"
    )


def _last_part(path: str) -> str:
    return Path(path).name


def _kind(name: str) -> tuple[FileFormat, Packing | None] | None:
    packed = next((ending for ending in _PACKINGS if name.lower().endswith(f".{ending}")), None)
    kind = ENDINGS.get(name.lower().removesuffix(f".{packed}").rpartition(".")[2])
    return (kind, packed) if kind else None


def dataset_name(place: str) -> str:
    """A name for what is at a path or in a table."""
    stem = Path(place).name.partition(".")[0]
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"table_{name}".rstrip("_")


def _read(opened: Opened, kind: FileFormat, label: str) -> tuple[dict[str, Any], pa.Table, tuple[str, ...]]:
    """Keys of the source beside its place, the table, and what people should look at."""
    import pyarrow.parquet as pq

    match kind:
        case "parquet":
            with opened() as inner:
                return {}, pq.read_table(inner), ()
        case "arrow":
            return {}, read_arrow(opened).table, ()
        case "json":
            return {}, read_json(opened, label).table, ()
        case "excel":
            return _read_excel(opened, label)
    return _read_csv(opened, label)


def _read_csv(opened: Opened, label: str) -> tuple[dict[str, Any], pa.Table, tuple[str, ...]]:
    import pyarrow as pa

    with opened() as inner:
        head = inner.read(HEAD)
    if told := kind_told(head, Dialect(encoding=wide_encoding(head) or "utf-8")):
        raise BadTable(f"{label} {told}")
    keys, notes = sniff(head)
    try:
        return keys, read_texts(opened, Dialect(**keys), label).table, notes
    except (pa.ArrowInvalid, UnicodeError):
        reason = why_not(opened, Dialect(**keys), "CSV", label)
    if "columns:" not in str(reason):
        raise reason
    raw = read_texts(opened, Dialect(**keys, ragged="drop"), label)
    if raw.ragged > raw.table.num_rows:
        raise BadTable(f"{str(reason).partition(': correct')[0]}, as most rows differ from the header: is it a table?")
    note = (
        f"{raw.ragged:,} row(s) have too few or too many values, and are left out; remove `ragged` to have them refused"
    )
    return keys | {"ragged": "drop"}, raw.table, (*notes, note)


def _read_excel(opened: Opened, label: str) -> tuple[dict[str, Any], pa.Table, tuple[str, ...]]:
    """The sheet with most cells."""
    with workbook_of(opened, label) as book:
        sheets = {str(name): cells_of(book, str(name)) for name in book.sheet_names}
    name = max(sheets, key=lambda name: sum(len(row) for row in sheets[name] if not is_blank(row)))
    rows = [(n, ["" if cell is None else str(cell) for cell in row]) for n, row in enumerate(sheets[name])]
    rows = [(line, row) for line, row in rows if any(row)]
    keys, notes = layout_of(rows[:LINES], max((len(row) for _, row in rows), default=0))
    if len(sheets) > 1:
        keys = {"sheet": name} | keys
        notes = (*notes, f"the sheet with most cells of {len(sheets)}: {', '.join(sheets)}")
    return keys, read_excel(opened, Dialect(**keys), label).table, notes


def _in_database(url: str, name: str | None, timeout: float) -> Found:
    import pyarrow as pa
    import sqlalchemy as sa

    from mlops_assets.sources.caller_rows import stream_table

    if name is None:
        raise InputError("which table of the database? Give --table NAME, or --table schema.NAME")
    database = Database(url, timeout, Retry(0), "the URL")
    taken = 0
    parts = []
    for part in islice(stream_table(database, name, 10_000), SAMPLE // 10_000):
        parts.append(part)
        taken += part.num_rows
    if not taken:
        raise BadTable(f"the table {name} has no rows")
    schema_name, _, bare = name.rpartition(".")
    count = sa.select(sa.func.count()).select_from(sa.table(bare, schema=schema_name or None))
    rows = database.ask(lambda connection: int(connection.execute(count).scalar_one()), "the table")
    parsed = sa.make_url(url)
    variable = f"{re.sub('[^A-Z0-9]+', '_', bare.upper())}_URL"
    hidden = bool(parsed.password or parsed.username)
    source = {"kind": "sql", "url": f"${{{variable}}}" if hidden else url, "table": name}
    table = pa.concat_tables(parts, promote_options="permissive")
    return Found(dataset_name(bare), source, table, rows, secret=variable if hidden else "", by_sql=True)
