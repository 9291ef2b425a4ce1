"""How a CSV file is written, by its first lines: the keys of `source` that read it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mlops_assets.sources.guesses import is_iso_time, is_number

HEAD = 1 << 18  # bytes that are looked at
_LINES = 300
_DELIMITERS = ",;\t|"
_COMMENTS = ("#", "%", "//")


def sniff(head: bytes) -> dict[str, Any]:
    """Keys of the source: only those that a plain CSV file does not need."""
    encoding = _encoding(head)
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "ignore")
    lines = text.splitlines()[:_LINES]
    if len(head) >= HEAD:
        lines = lines[:-1] or lines  # the last is cut
    keys: dict[str, Any] = {} if encoding == "utf-8" else {"encoding": encoding}
    first = next((line for line in lines if line.strip()), "")
    if comment := next((mark for mark in _COMMENTS if first.startswith(mark)), None):
        keys["comment"] = comment
        lines = [line for line in lines if not line.startswith(comment)]
    delimiter, width = _delimiter([line for line in lines if line.strip()])
    if delimiter != ",":
        keys["delimiter"] = delimiter
    rows = [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
    above = next((number for number, row in enumerate(rows) if len(row) == width), 0)
    if any(row for row in rows[:above]):
        keys["skip_rows"] = above
    header = rows[above] if above < len(rows) else []
    if any(is_number(name.strip()) or is_iso_time(name.strip()) for name in header):
        keys["header"] = [f"column_{number}" for number in range(1, len(header) + 1)]
    return keys


def _encoding(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\x00" in head[:4096]:
        return "utf-16-le" if head[1:2] == b"\x00" else "utf-16-be"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < HEAD or error.start < len(head) - 4:  # else a letter is cut
            return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", head) else "cp1252"
    return "utf-8"


def _delimiter(lines: Sequence[str]) -> tuple[str, int]:
    """The delimiter that gives most lines the same number of values, and most values; and that number."""
    found = []
    for delimiter in _DELIMITERS:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        width, lines_of_it = max(counts.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        if width > 1:
            found.append((lines_of_it / max(1, len(lines)) > 0.7, width, delimiter))
    _, width, delimiter = max(found, default=(True, 1, ","))
    return delimiter, width
