"""How a table is written, by its first rows: the keys of `source` that read it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from mlops_assets.sources.diagnosis import wide_encoding
from mlops_assets.sources.guesses import is_iso_time, number_keys, time_formats
from mlops_assets.sources.values import MISSING

HEAD = 1 << 18  # bytes that are looked at
LINES = 300
_DELIMITERS = ",;\t|~^"
_FOREIGN = ["cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874", "cp932", "euc_jp", "gb18030", "big5", "cp949"]
_LAST_RESORT = " :"  # they stand inside of times
_COMMENTS = ("#", "%", "//")
_MOST = 0.8  # of the values of a column of numbers or times are such
Row = tuple[int, list[str]]  # the line on which it begins, from 0, and its values


def sniff(head: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Keys of the source, only those that a plain CSV file does not need; and what people should look at."""
    encoding, notes = _encoding(head)
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "ignore")
    lines = text.splitlines(keepends=True)
    lines = (lines[:-1] or lines if len(head) >= HEAD else lines)[:LINES]  # the last may be cut
    keys: dict[str, Any] = {} if encoding == "utf-8" else {"encoding": encoding}
    first = next((line for line in lines if line.strip()), "")
    comment = next((mark for mark in _COMMENTS if first.startswith(mark)), "")
    if comment:
        keys["comment"] = comment
    data = ["\n" if comment and line.startswith(comment) else line for line in lines]
    escape = {"escape": "\\"} if re.search(r'(?<!\\)\\"[^,;\t|\n]', "".join(data)) else {}
    written, width = _delimited(data, escape)
    keys |= written
    layout, told = layout_of(list(_rows(data, written)), width)
    if comment and "header" in layout and "skip_rows" not in layout:
        names = [row for line in lines if line.startswith(comment) for _, row in _rows([line], written)][-1]
        if len(names) == width:  # `# at, shop, size`
            return keys | {"header": [name.removeprefix(comment).strip() for name in names]}, notes
    return keys | layout, (*notes, *told)


def layout_of(rows: Sequence[Row], width: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Where the header is, and where the values begin: `skip_rows` and `header`; and what people should look at.

    `rows`: those that are not empty. Above the header may be a title, below it a line of units.
    """
    at = next((n for n, (_, row) in enumerate(rows) if len(row) == width and 2 * _filled(row) >= width), None)
    if at is None:
        return {}, ()
    body = [row for _, row in rows[at + 2 :] if len(row) == width]
    places = [place for place in range(width) if _holds_values([row[place] for row in body])]
    line, header = rows[at]
    if places and _are_values(header, places):
        above = rows[at - 1][1] if at else []
        if len(above) == width - 1 and _filled(above) == width - 1:
            return _longer_rows(rows[at - 1], [header, *body])
        names = [f"column_{number}" for number in range(1, width + 1)]
        return ({"skip_rows": line} if at else {}) | {"header": names}, ("no line names the columns",)
    skip = {"skip_rows": line} if at else {}
    if len(rows) > at + 1 and places and len(below := rows[at + 1][1]) == width and _is_words(below, places):
        if len({*below} - {""}) > len({*header} - {""}):
            return {"skip_rows": rows[at + 1][0]}, ()
        skipped = f"{', '.join(filter(None, below))} below the header: no row of data"
        return {"skip_rows": rows[at + 1][0] + 1, "header": header}, (skipped,)
    return skip, ()


def _longer_rows(header: Row, body: Sequence[Sequence[str]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Rows of a value more than the header: a delimiter at the end of each, or names of rows as R writes them."""
    line, names = header
    if not any(row[-1].strip() for row in body):
        return {"skip_rows": line + 1, "header": [*names, "empty"]}, ("each row ends with a delimiter",)
    first = [row[0] for row in body]
    if len({*first}) == len(first) and not any(is_iso_time(name) or time_formats([name]) for name in first[:5]):
        return {"skip_rows": line + 1, "header": ["row_name", *names]}, ("the first value of each row is its name",)
    return {"skip_rows": line} if line else {}, ()


def _filled(row: Sequence[str]) -> int:
    return sum(bool(value.strip()) for value in row)


def _is_value(text: str) -> bool:
    """Whether a text is a number or a time, however it is written."""
    text = text.strip()
    digits = any(map(str.isdigit, text))
    return digits and (is_iso_time(text) or number_keys([text]) is not None or bool(time_formats([text])))


def _holds_values(column: Sequence[str]) -> bool:
    filled = [text for text in column if text.strip() and text.strip() not in MISSING]
    return bool(filled) and sum(map(_is_value, filled)) >= _MOST * len(filled)


def _are_values(row: Sequence[str], places: Sequence[int]) -> bool:
    """Whether a row has values where the table has: then it names no columns."""
    return all(_is_value(row[place]) for place in places if row[place].strip() and row[place].strip() not in MISSING)


def _is_words(row: Sequence[str], places: Sequence[int]) -> bool:
    """Whether a row has words, or nothing, in all places where the table has values."""
    found = [row[place].strip() for place in places]
    has_word = any(re.search(r"[^\W\d_]{2}|%|°", text) and text not in MISSING for text in found)
    return has_word and not any(map(_is_value, found))


def _encoding(head: bytes) -> tuple[str, tuple[str, ...]]:
    if wide := wide_encoding(head):
        return wide, ()
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < HEAD or error.start < len(head) - 4:  # else a letter is cut
            encoding = _foreign(head) or ("latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", head) else "cp1252")
            word = re.search(rb"[\w\x80-\xff]*[\x80-\xff][\w\x80-\xff]*", head)
            shown = word[0][:30].decode(encoding, "ignore") if word else ""
            return encoding, (f"it is not UTF-8; by {encoding} there stands '{shown}': is that right?",)
    return "utf-8", ()


def _foreign(head: bytes) -> str | None:
    """The likeliest encoding of another script than the Latin one; None where marked letters stand among Latin ones."""
    words = [word for word in re.split(rb'[,;\t\r\n" ]+', head) if not word.isascii()]
    foreign = [word for word in words if len(word) > 2 and sum(byte > 127 for byte in word) >= len(word) / 2]
    if len(foreign) <= len(words) / 2:
        return None
    from charset_normalizer import from_bytes

    best = from_bytes(b" ".join(foreign), cp_isolation=_FOREIGN).best()
    return best.encoding if best else None


def _rows(lines: Sequence[str], written: Mapping[str, Any]) -> Iterator[Row]:
    """The rows that are not empty. A text that is longer than any ends them."""
    escape = written.get("escape")
    rows = csv.reader(
        lines, delimiter=written.get("delimiter", ","), quotechar=written.get("quote", '"'), escapechar=escape
    )
    line = 0
    try:
        for row in rows:
            if row:
                yield line, row
            line = rows.line_num
    except csv.Error:
        return


def _quotes(lines: Sequence[str]) -> str:
    """The usual one; and after it the other, where values begin and end with it."""
    pattern = r"(^|[^\w\s])'[^']*'([^\w\s]|$)"
    return "\"'" if sum(bool(re.search(pattern, line.strip())) for line in lines) > len(lines) / 10 else '"'


def _delimited(lines: Sequence[str], escape: dict[str, str]) -> tuple[dict[str, Any], int]:
    """The keys by which most lines have the same number of values, from the header on; and that number."""
    found = []
    quotes = _quotes(lines)
    for choice in (_DELIMITERS, _LAST_RESORT):
        for delimiter, quote in product(choice, quotes):
            written = escape | {"delimiter": delimiter, "quote": quote}
            widths = [len(row) for _, row in _rows(lines, written)]
            counts = Counter(width for width in widths if width > 1)
            if not counts:
                continue
            width, rows = max(counts.items(), key=lambda item: (item[1], item[0]))
            share = rows / len(widths)
            rank = (share > 0.7, -widths.index(width), round(share, 1), quote == quotes[-1], width)
            found.append((rank, written, width))
        if found:
            _, written, width = max(found, key=lambda item: item[0])
            plain = {"delimiter": ",", "quote": '"'}
            return {key: value for key, value in written.items() if plain.get(key) != value}, width
    return {}, 1
