"""One table in the writings in which people have it: `init` reads the same rows from each, or says what it is."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from mlops_assets.cli.init import write_yaml
from mlops_assets.dataset import load_dataset
from mlops_assets.errors import MlopsError
from mlops_assets.sources import open_source
from mlops_assets_tests.workbooks import workbook

COUNT = 280
HEADER = ["at", "shop", "size", "price"]
ROWS = [
    (
        datetime(2024, 1, 1) + timedelta(hours=10) * number,
        "abc"[number * 7 % 3],
        number * 37 % 101 / 8 - 4,
        number * 36 % 101 * 1250 + number % 7 + 0.25,
    )
    for number in range(COUNT)
]
LINES = [[f"{at:%Y-%m-%d %H:%M}", shop, f"{size}", f"{price}"] for at, shop, size, price in ROWS]


def joined(lines: list[list[str]], delimiter: str = ",") -> str:
    return "\n".join(map(delimiter.join, lines)) + "\n"


def written(
    *, at: str | Callable = "%Y-%m-%d %H:%M", number: Callable[[float], str] = str, delimiter: str = ",", header=HEADER
) -> str:
    """The table with its times and numbers written so."""
    tell = at if callable(at) else lambda moment: moment.strftime(at)
    lines = [[tell(moment), shop, number(size), number(price)] for moment, shop, size, price in ROWS]
    return joined([header, *lines], delimiter)


def days(at: str) -> str:
    """The table with days, or months, alone as times."""
    return written(at=at)


def german(value: float) -> str:
    return f"{value:,.3f}".translate({44: ".", 46: ","})


def english(value: float) -> str:
    return f'"{value:,.3f}"'


def bracketed(value: float) -> str:
    return f'"({-value:,.3f})"' if value < 0 else f'"{value:,.3f}"'


def parquet() -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(list(zip(*ROWS, strict=True)), names=HEADER), body)
    return body.getvalue()


def arrow() -> bytes:
    body = io.BytesIO()
    feather.write_feather(pa.table([pa.array(column) for column in zip(*ROWS, strict=True)], names=HEADER), body)
    return body.getvalue()


def sheet(*above: list) -> bytes:
    return workbook({"notes": [["as agreed"]], "rows": [*above, HEADER, *map(list, ROWS)]})


def zipped(content: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("t.csv", content)
    return body.getvalue()


@pytest.fixture
def init(tmp_path, monkeypatch):
    """The YAML that `init` writes for a file's bytes, and the rows that are read by it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def init(content: str | bytes, name: str = "sales.csv") -> tuple[str, list[tuple]]:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        write_yaml(name, None, "price", Path("out.yaml"))
        spec = load_dataset("out.yaml", {})
        source = open_source(spec, tmp_path / "cache", timeout=5, retries=0)
        time = spec.time.column if spec.time else None
        shop = next((alias for alias in spec.columns if spec.columns[alias].type == "text"), None)
        rows = []
        for partition in source.partitions():
            for row in source.read(partition).to_pylist():
                rows.append((row.get(time), row.get(shop), row["size"], row["price"]))
        return Path("out.yaml").read_text(), rows

    return init


PLAIN = written()
HEAD, *BODY = PLAIN.splitlines()
SAME = {
    "plain": PLAIN,
    "semicolons": written(delimiter=";"),
    "tabs": written(delimiter="\t"),
    "bars": written(delimiter="|"),
    "tildes": written(delimiter="~"),
    "carets": written(delimiter="^"),
    "blanks": written(at="%Y-%m-%dT%H:%M", delimiter=" "),
    "two bars": written(delimiter="||"),
    "blanks after commas": written(delimiter=", "),
    "decimal commas": written(delimiter=";", number=lambda value: str(value).replace(".", ",")),
    "decimal commas and points": written(delimiter=";", number=german),
    "thousands": written(number=english),
    "Swiss thousands": written(number=lambda value: f"{value:,.3f}".replace(",", "'")),
    "Swiss thousands in print": written(number=lambda value: f"{value:,.3f}".replace(",", "\u2019")),
    "thousands by narrow blanks": written(delimiter=";", number=lambda value: german(value).replace(".", "\u202f")),
    "negative in brackets": written(number=bracketed),
    "negative currency in brackets": written(number=lambda value: bracketed(value).replace('"(', '"($')),
    "minus at the end": written(number=lambda value: f"{-value}-" if value < 0 else f"{value}"),
    "minus of print": written(number=lambda value: f"{value}".replace("-", "\u2212")),
    "plus": written(number=lambda value: f"{value:+}"),
    "powers": written(number=lambda value: f"{value:.9E}"),
    "percent": written(number=lambda value: f"{value}%"),
    "units": written(number=lambda value: f"{value} kg"),
    "euros": written(delimiter=";", number=lambda value: f"{german(value)} €"),
    "currency in letters": written(number=lambda value: f"EUR {value}"),
    "day first": written(at="%d/%m/%Y %H:%M"),
    "month first": written(at="%m/%d/%Y %H:%M"),
    "halves of days": written(at="%m/%d/%y %I:%M %p"),
    "points": written(at="%d.%m.%Y %H:%M"),
    "no leading zeros": written(at=lambda at: f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute:02}"),
    "names of months": written(at="%d-%b-%Y %H:%M"),
    "names of days": written(at="%a %d %b %Y %H:%M"),
    "long names": written(at=lambda at: f'"{at:%A, %d %B %Y %H:%M}"'),
    "mail": written(at=lambda at: f'"{at:%a, %d %b %Y %H:%M:%S} GMT"'),
    "web server": written(at="%d/%b/%Y:%H:%M:%S +0000"),
    "compact": written(at="%Y%m%d%H%M%S"),
    "clock first": written(at="%H:%M %d.%m.%Y"),
    "hours alone": written(at="%Y-%m-%d %H"),
    "nanoseconds": written(at="%Y-%m-%d %H:%M:%S.%f000"),
    "UTC": written(at="%Y-%m-%d %H:%M:%S UTC"),
    "Z": written(at="%Y-%m-%dT%H:%M:%SZ"),
    "offset": written(at=lambda at: f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}+01:00"),
    "seconds since 1970": written(at=lambda at: f"{(at - datetime(1970, 1, 1)).total_seconds():.0f}"),
    "milliseconds since 1970": written(at=lambda at: f"{(at - datetime(1970, 1, 1)).total_seconds():.0f}000"),
    "date and clock": written(at="%d/%m/%Y,%H.%M", header=["Date", "Time", *HEADER[1:]]),
    "date and hour": written(at="%Y-%m-%d,%H", header=["day", "hour", *HEADER[1:]]),
    "year, month, day, hour": written(at="%Y,%m,%d,%H", header=["year", "month", "day", "hour", *HEADER[1:]]),
    "byte order": "\ufeff" + PLAIN,
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 without byte order": PLAIN.encode("utf-16-be"),
    "UTF-32": PLAIN.encode("utf-32"),
    "lines of Windows": PLAIN.replace("\n", "\r\n"),
    "lines of old Macs": PLAIN.replace("\n", "\r"),
    "no last line break": PLAIN.rstrip(),
    "empty lines": PLAIN.replace("\n", "\n\n"),
    "empty lines above": "\n\n" + PLAIN,
    "a title": "Sales, 2024\n\n" + PLAIN,
    "a title as wide as the table": "Sales 2024,,,\n,,,\n" + PLAIN,
    "comments": "# a tool's \"export\n" + "\n".join([HEAD, BODY[0], "# more", *BODY[1:]]),
    "names in a comment": f"# a tool\n# {', '.join(HEADER)}\n" + "\n".join(BODY),
    "Excel's own line": "sep=;\n" + written(delimiter=";"),
    "units below the header": "\n".join([HEAD, ",,cm,euros", *BODY]),
    "types below the header": "\n".join([HEAD, "timestamp,text,float,float", *BODY]),
    "groups above the header": "\n".join([",,measured,measured", HEAD, *BODY]),
    "a total below": PLAIN + "Total,,,5555\n",
    "a remark below": PLAIN + "\nTotal: 280 rows\n",
    "a delimiter at the end": "\n".join(f"{line}," for line in [HEAD, *BODY]),
    "a delimiter at the end of rows": "\n".join([HEAD, *(f"{line}," for line in BODY)]),
    "names of rows": "\n".join([HEAD, *(f"{number},{line}" for number, line in enumerate(BODY, 1))]),
    "numbers of rows": "\n".join([f",{HEAD}", *(f"{number},{line}" for number, line in enumerate(BODY))]),
    "all in quotes": joined([[f'"{value}"' for value in line] for line in [HEADER, *LINES]]),
    "single quotes": joined([[f"'{value}'" for value in line] for line in [HEADER, *LINES]]),
    "Parquet that is called CSV": parquet(),
    "JSON that is called CSV": json.dumps([dict(zip(HEADER, line, strict=True)) for line in LINES]),
    "Excel that is called CSV": sheet(),
}
NAMED = {
    "sales.tsv": written(delimiter="\t"),
    "sales.txt": written(delimiter=";"),
    "sales": PLAIN,
    "sales.parquet": parquet(),
    "sales.feather": arrow(),
    "sales.jsonl": "\n".join(json.dumps(dict(zip(HEADER, line, strict=True))) for line in LINES),
    "sales.xlsx": sheet(["Sales of the year"], [None]),
    "sales.csv.gz": gzip.compress(PLAIN.encode()),
    "sales.csv.bz2": bz2.compress(PLAIN.encode()),
    "sales.csv.xz": lzma.compress(PLAIN.encode()),
    "sales.csv.zst": pa.compress(PLAIN.encode(), "zstd", asbytes=True),
    "sales.csv.zip": zipped(PLAIN.encode()),
}


def same_rows(rows: list[tuple]) -> None:
    assert len(rows) == COUNT
    assert [row[:2] for row in rows] == [row[:2] for row in ROWS]
    assert [row[2:] for row in rows] == [pytest.approx(row[2:]) for row in ROWS]


@pytest.mark.parametrize("writing", SAME)
def test_every_writing_gives_the_same_rows(init, writing):
    same_rows(init(SAME[writing])[1])


@pytest.mark.parametrize("name", NAMED)
def test_every_format_gives_the_same_rows(init, name):
    same_rows(init(NAMED[name], name)[1])


@pytest.mark.parametrize("form", ["%Y%m%d", "%d%m%Y", "%Y-%m", "%m/%Y", "%b-%y", "%d %B %Y", "%d.%m.%y"])
def test_days_and_months_are_times(init, form):
    text, rows = init(days(form))
    wanted = [datetime.strptime(at.strftime(form), form) for at, *_ in ROWS]
    assert [row[0] for row in rows] == wanted, text


def with_column(values: list[str], name: str = "other") -> str:
    return joined([[*HEADER, name], *([*line, values[n % len(values)]] for n, line in enumerate(LINES))])


TWENTY = list(map(str, range(10, 30)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["Yes", "No"], "other: {type: boolean}"),
        (["T", "F"], "other: {type: boolean}"),
        (["TRUE", "FALSE", ""], "other: {type: boolean}"),
        (["yes", "no", "unknown"], "other: {type: boolean, missing_values: [unknown]}"),
        (["1", "0", "NA"], "other: {type: integer}"),
        ([*TWENTY, "?"], "missing_values: ['?']"),
        ([*TWENTY, "#DIV/0!"], "missing_values: ['#DIV/0!']"),
        ([*TWENTY, "closed"], "'closed': rare among other values, so read as missing"),
        ([*TWENTY, "-999"], "-999 stands far from all other values"),
        (["007", "012"], "other: {type: text}  # codes with leading zeros"),
        (["9223372036854775808", "2", "3"], "other: {}"),
        (["1", "many", "few"], "other: {type: text}"),
        (["0x1F", "0x2A"], "other: {type: text}"),
        (["inf", "1", "2"], "other: {}"),
        (['"a\nb, c"', "d"], "other: {type: text}"),
        (['5" pipe', "rod"], "other: {type: text}"),
        (['"a \\"b\\", c"', "d"], "escape: \\"),
        ([""], "# other: it is empty"),
        (["k"], "# other: it is the same in all rows"),
    ],
)
def test_a_column_is_read_as_what_it_is(init, values, said):
    text, rows = init(with_column(values))
    assert said in text and len(rows) == COUNT, text


@pytest.mark.parametrize(
    "name", ["Größe in cm", "", "2019", "yes", "null", "a: b", "- #c", "n" * 300, "row_id", "日付"]
)
def test_a_name_may_be_any(init, name):
    text, rows = init(with_column(TWENTY, f'"{name}"'))
    assert len(rows) == COUNT and text.count("type: integer") == 1, text


def test_a_time_that_is_not_understood_is_shown(init):
    text, _ = init(with_column([f"{day}. Januar 2024" for day in range(10, 30)], "updated_at"))
    assert "called like a time, but `10. Januar 2024` is of no format known here" in text


def test_letters_of_another_encoding_are_shown(init):
    text, _ = init(PLAIN.replace(",a,", ",Köln,").encode("cp1252"))
    assert "encoding: cp1252" in text and "by cp1252 there stands 'Köln': is that right?" in text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1251", ["Москва", "Казань", "Самара"]),
        ("cp1253", ["Αθήνα", "Πάτρα", "Λάρισα"]),
        ("cp932", ["東京都", "大阪府", "京都府"]),
        ("gb18030", ["北京市", "上海市", "广州市"]),
        ("cp949", ["서울특별시", "부산광역시", "대구광역시"]),
        ("cp1252", ["Köln", "Zürich", "Orléans"]),
    ],
)
def test_a_script_is_known_by_its_letters(init, encoding, words):
    turns = cycle(words)
    text, rows = init(re.sub(",a,", lambda _: f",{next(turns)},", PLAIN).encode(encoding))
    assert f"encoding: {encoding}" in text and len(rows) == COUNT, text


def test_letters_that_are_no_text_leave_the_yaml_readable(init):
    text, rows = init(PLAIN.replace(",a,", ",Köln \x81\x91,").encode("latin-1"))
    assert "encoding: latin-1" in text and len(rows) == COUNT, text


TOLD = {
    "empty": ("", "the file is empty"),
    "blank": ("\n\n  \n", "the file is empty"),
    "header alone": (HEAD + "\n", "the table has no rows"),
    "one row": (f"{HEAD}\n{BODY[0]}\n", "1 row(s), too few to learn from"),
    "one column": ("price\n" + "\n".join(map(str, range(50))), "no column is left to learn price from"),
    "prose": ("Dear Sir,\nthe table is attached.\n", "is it a table?"),
    "no header": ("\n".join(BODY), "there is no column 'price': there are column_1, column_2"),
    "twice": (written(header=["at", "shop", "shop", "price"]), "2 columns are called 'shop': rename one"),
    "two units": (written(number=lambda value: f"{value} {'kg' if value > 9e4 else 'g'}"), "price is of type text"),
    "a text without an end": (PLAIN.replace("\n2024-01-05 04:00,", '\n2024-01-05 04:00,"'), "a quoted text in row 12"),
    "a header without an end": ('"' + "x" * 200_000 + PLAIN, "a quoted text in the header does not end"),
    "ragged throughout": (
        "\n".join([HEAD, *(line + ",x" * (n % 3) for n, line in enumerate(BODY))]),
        "row 3 has 5 of 4 columns, as most rows differ from the header",
    ),
    "a page": ("\n <!doctype HTML><html>", "is an HTML page"),
    "XML": ('<?xml version="1.0"?><rows/>', "is XML"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\n" + bytes(range(256)), "is a PDF document"),
    "a picture": (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)), "is a picture"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file"),
    "a pickle": (b"\x80\x04\x95" + bytes(range(99)), "is a Python pickle"),
    "SQLite": (b"SQLite format 3\0" + bytes(99), "is a SQLite database"),
    "a pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n", "by git lfs pull"),
    "gz": (gzip.compress(PLAIN.encode()), "its name must end in .gz"),
    "zip": (zipped(PLAIN.encode()), "its name must end in .zip"),
    "noise": (bytes(range(256)) * 9, "is no text, and of no format that is read here"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_is_no_table_is_told_in_one_sentence(init, case):
    content, told = TOLD[case]
    with pytest.raises(MlopsError) as caught:
        init(content)
    assert told in str(caught.value) and "\n" not in str(caught.value) and not os.path.exists("out.yaml")


@pytest.mark.parametrize("name", ["sales.parquet", "sales.feather", "sales.xlsx", "sales.jsonl", "sales.csv.gz"])
def test_a_damaged_file_is_told(init, name):
    with pytest.raises(MlopsError, match=r"damaged|no Excel workbook|no JSON"):
        init(b"no such thing" * 9, name)
