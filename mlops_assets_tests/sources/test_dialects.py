"""Tables as people have them: with the keys that say how they are written, and what is said without these."""

import bz2
import gzip
import io
import json
import lzma
import sys
from datetime import datetime

import pyarrow as pa
import pytest
from pyarrow import feather

from mlops_assets.errors import MlopsError, SpecError
from mlops_assets.sources.formats import format_of, ragged_rows, read_rows
from mlops_assets_tests.workbooks import workbook

COLUMNS = {"at": {"type": "time"}, "shop": {"type": "text"}, "x": {"type": "number"}, "y": {"type": "number"}}
PLAIN = "at,shop,x,y\n2024-01-31T13:30:00,a,5.5,1861\n2024-02-01T00:00:00,b,-0.25,7\n"
ROWS = [("2024-01-31 13:30:00", "a", 5.5, 1861.0), ("2024-02-01 00:00:00", "b", -0.25, 7.0)]


def at(first: str, second: str = "2024-02-01T00:00:00") -> str:
    """The table with its times written so."""
    return PLAIN.replace("2024-01-31T13:30:00", first).replace("2024-02-01T00:00:00", second)


@pytest.fixture
def read(make_spec):
    """The rows of a file's bytes by the keys of the source and those of columns, as a table."""

    def read(
        body: str | bytes, *, name: str = "t.csv", env: dict | None = None, source: dict | None = None, **columns: dict
    ):
        merged = {alias: column | columns.get(alias, {}) for alias, column in COLUMNS.items()}
        spec = make_spec({"kind": "files", "uri": name} | (source or {}), columns=merged, env=env)
        content = body.encode() if isinstance(body, str) else body
        return read_rows(io.BytesIO(content), format_of(spec.source, name), spec, "the file")

    return read


def values(table: pa.Table) -> list[tuple]:
    return [(str(row["at"]), row["shop"], row["x"], row["y"]) for row in table.to_pylist()]


@pytest.fixture
def error(read):
    """What is said of a table that cannot be read."""

    def error(*args, **keys) -> str:
        with pytest.raises(MlopsError) as caught:
            read(*args, **keys)
        return str(caught.value)

    return error


@pytest.mark.parametrize(
    ("body", "source", "columns"),
    [
        (PLAIN.replace(",", ";").replace(".", ","), {"delimiter": ";", "decimal": ","}, {}),
        (PLAIN.replace(",", "\t"), {"delimiter": "\t"}, {}),
        (PLAIN.replace("1861", '"1,861"'), {"thousands": ","}, {}),
        (PLAIN.replace("1861", "1.861").replace("5.5", '"5,5"').replace("-0.25", '"-0,25"'), {}, {
            "x": {"decimal": ","}, "y": {"decimal": ",", "thousands": "."}}),
        (PLAIN.replace("1861", "1\u202f861"), {"thousands": " "}, {}),
        (PLAIN.replace("1861", "$1861").replace("b,-0.25", "b,-$0.25").replace("5.5", "$ 5.5"), {}, {
            "x": {"strip": ["$"]}, "y": {"strip": ["$"]}}),
        (PLAIN.replace("1861", "1861 %").replace(",7", ",7%"), {}, {"y": {"strip": ["%"]}}),
        (PLAIN.replace("a,", "<a>,").replace("b,", "<b>,"), {}, {"shop": {"strip": ["<", ">"]}}),
        ("a tool\nversion 3\n" + PLAIN, {"skip_rows": 2}, {}),
        ("# a tool's \"export\n" + PLAIN + "# end\n", {"comment": "#"}, {}),
        (PLAIN.partition("\n")[2], {"header": ["at", "shop", "x", "y"]}, {}),
        (PLAIN.replace("a,", "'a',"), {"quote": "'"}, {}),
        (PLAIN.replace("2024-02", "2024-01-01,1\n\n2024-02"), {"ragged": "drop"}, {}),
        (PLAIN.replace("at,shop,x,y", "at, shop , x,y "), {}, {}),
        (at("31/01/2024 13:30", "1/2/2024 00:00"), {}, {
            "at": {"format": "%d/%m/%Y %H:%M"}}),
        (at("01/31/24 01:30 PM", "02/01/24 12:00 AM"), {}, {
            "at": {"format": "%m/%d/%y %I:%M %p"}}),
        (at("1706707800", "1706745600"), {}, {
            "at": {"unit": "s"}}),
        (at("1706707800000", "1706745600000"), {}, {
            "at": {"unit": "ms"}}),
        (PLAIN.replace("at,", "day,hour,").replace("T", ",").replace(":00,", ",").replace(":30", ".30"), {}, {
            "at": {"from": ["day", "hour"], "format": "%Y-%m-%d %H.%M"}}),
        (at("20240131T133000", "20240201T000000"), {}, {
            "at": {"format": "%Y%m%dT%H%M%S"}}),
        (PLAIN.encode("utf-16"), {"encoding": "utf-16"}, {}),
        (PLAIN.encode("utf-16-le"), {"encoding": "utf-16-le"}, {}),
    ],
    ids=[
        "decimal comma", "tabs", "thousands", "other decimals a column", "narrow blanks", "currency", "percent",
        "brackets", "lines above", "comments", "no header", "quote", "ragged", "blanks in the header", "day first",
        "two digits and halves of days", "seconds", "milliseconds", "two columns", "compact", "utf-16", "utf-16-le",
    ],
)  # fmt: skip
def test_every_writing_gives_the_same_rows_by_its_keys(read, body, source, columns):
    if source == {} and "day" in str(columns):
        body = body.replace("00:00,b", "00.00,b")
    assert values(read(body, source=source, **columns)) == ROWS


def test_letters_of_another_encoding(read):
    body = PLAIN.replace("a,5", "München,5").encode("cp1252")
    assert read(body, source={"encoding": "cp1252"})["shop"].to_pylist() == ["München", "b"]


def test_rows_that_are_left_out_are_counted(read):
    body = PLAIN + "2024-01-01,1\n" + "2024-01-01,1,2,3,4,5\n"
    assert ragged_rows(read(body, source={"ragged": "drop"})) == 2
    assert ragged_rows(read(PLAIN)) == 0


@pytest.mark.parametrize("mark", ["?", "-200", "-200.0", "n.a.", "-"])
def test_further_marks_of_missing_values(read, mark):
    body = PLAIN.replace("5.5", mark)
    wanted = "-200" if mark.startswith("-200") else mark
    assert read(body, source={"missing": [wanted]})["x"].to_pylist() == [None, -0.25]
    assert read(body, x={"missing_values": [wanted]})["x"].to_pylist() == [None, -0.25]


def test_a_number_that_means_none_does_so_in_every_format(make_spec):
    spec = make_spec({"kind": "files", "uri": "t.arrow", "missing": [-200]}, columns=COLUMNS)
    body = io.BytesIO()
    rows = {"at": ["2024-01-31", "2024-02-01"], "shop": ["a", "-200"], "x": [-200.0, 1.0], "y": [1, -200]}
    feather.write_feather(pa.table(rows), body)
    table = read_rows(io.BytesIO(body.getvalue()), format_of(spec.source, "t.arrow"), spec, "the file")
    assert [table[alias].to_pylist() for alias in ("shop", "x", "y")] == [["a", None], [None, 1.0], [1.0, None]]


@pytest.mark.parametrize(
    ("yes", "no", "keys"),
    [
        ("True", "False", {}),
        ("yes", "NO", {}),
        ("1", "0", {}),
        ("1.0", "0.0", {}),
        ("Ja", "nein", {"true_words": ["ja"], "false_words": ["nein"]}),
    ],
)
def test_booleans_are_one_and_nought(read, yes, no, keys):
    body = PLAIN.replace("5.5", yes).replace("-0.25", no) + "2024-02-02T00:00:00,b,,1\n"
    table = read(body, x={"type": "boolean"} | keys)
    assert table["x"].to_pylist() == [1, 0, None] and table.schema.field("x").type == pa.int64()


def test_a_word_that_is_neither_is_told(error):
    told = error(PLAIN.replace("5.5", "maybe").replace("-0.25", "yes"), x={"type": "boolean"})
    assert (
        "column x cannot be read as boolean in 1 of 2 rows, such as `maybe` in row 2: set columns.x.true_words" in told
    )


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (["12.50", "1.861"], {"decimal": ",", "thousands": "."}),  # 12.50 has no group of thousands
        (["5.5", "5,5"], {"decimal": ","}),
        (["1,86", "1,861"], {"thousands": ","}),
    ],
)
def test_a_number_of_another_writing_is_refused_and_not_read_as_another_number(error, values, keys):
    body = "at;shop;x;y\n" + "".join(f"2024-01-01;a;{value};1\n" for value in values)
    told = error(body, source={"delimiter": ";"}, x=keys)
    assert f"column x cannot be read as number in 1 of 2 rows, such as `{values[0]}`" in told


TOLD = {
    "day first": (at("31/12/2024"), "such as `31/12/2024` in row 2: set columns.at.format to '%d/%m"),
    "day or period": (at("01/02/2024"), "columns.at.format to '%d/%m/%Y' or '%m/%d/%Y'"),
    "seconds": (at("1706707800"), "set columns.at.unit to s"),
    "decimal comma": (PLAIN.replace("5.5", '"5,92"'), "such as `5,92` in row 2: set in columns.x: decimal to ','"),
    "thousands": (PLAIN.replace("1861", '"1,861"'), "set in columns.y: thousands to ','"),
    "currency": (PLAIN.replace("1861", "$1861"), "set in columns.y: strip to ['$']"),
    "currency and more": (
        PLAIN.replace("1861", "1.861;50 €").translate({44: ";", 59: ","}),
        "set in columns.y: strip to ['€'], decimal to ',', thousands to '.'",
    ),
    "words": (PLAIN.replace("5.5", "True"), "set columns.x.type to boolean"),
    "question mark": (PLAIN.replace("5.5", "?"), "set columns.x.missing_values to ['?']"),
    "short row": (PLAIN.replace(",1861", ""), "row 2 has 3 of 4 columns"),
    "long row": (PLAIN + "2024-01-01,a,1,2,3\n", "row 4 has 5 of 4 columns"),
    "lines above": ("# a tool\n" + PLAIN, "line 1 (`# a tool`) is no header"),
    "no header": (PLAIN.partition("\n")[2], "line 1 (`2024-01-31T13:30:00,a,5.5,1861`) is no header"),
    "delimiter": (PLAIN.replace(",", ";"), "line 1 has one column, and holds ';': set source.delimiter to ';'"),
    "twice": (PLAIN.replace(",y\n", ",x\n"), "2 columns for x are called 'x'"),
    "case": (PLAIN.replace(",y\n", ",Y\n"), "has no column for y (y: did you mean 'Y'?)"),
    "empty": ("", "the file is empty"),
    "blank": (" \n\n", "the file is empty"),
    "latin-1": (PLAIN.replace("b,", "ü,").encode("latin-1"), "is not UTF-8 at row 3 (byte 0xfc): set source.encoding"),
    "latin-1 header": (PLAIN.replace("shop", "größe").encode("latin-1"), "is not UTF-8 at row 1 (byte 0xf6)"),
    "utf-16": (PLAIN.encode("utf-16"), "is not UTF-8 at row 1: set source.encoding, to utf-16"),
    "quote": (PLAIN.replace("b,-0.25", '"b,-0.25'), "a quoted text in row 3 does not end"),
    "excel": (b"PK\x03\x04[Content_Types].xml", "is an Excel workbook: set source.format to excel"),
    "old excel": (b"\xd0\xcf\x11\xe0" + b"\0" * 9, "is an Excel workbook"),
    "parquet": (b"PAR1" + b"\0" * 9, "is a Parquet file: set source.format to parquet"),
    "page": (b"<!DOCTYPE html><html>", "is an HTML page"),
    "json": (b'{"at": 1}', "is JSON: set source.format to json"),
    "gz": (gzip.compress(b"at"), "its name must end in .gz"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_cannot_be_read_is_told_with_value_place_and_key(error, case):
    body, told = TOLD[case]
    delimiter = {"delimiter": ";"} if case == "currency and more" else {}
    answer = error(body, source=delimiter)
    assert answer.startswith("the file") and told in answer
    assert "damaged" not in answer


def test_what_the_keys_say_is_right_where_it_does_not_fit(error):
    assert "is not ASCII at row 3 (byte 0xc3): set source.encoding" in error(
        PLAIN.replace("b,", "ü,"), source={"encoding": "ascii"}
    )
    told = error(PLAIN, at={"format": "%d/%m/%Y"})
    assert "such as `2024-01-31T13:30:00` in row 2: correct the rows, or columns.at.format, which is '%d/%m/%Y'" in told
    assert "row 5 has 1 of 4 columns" in error(
        "a\nb\n" + PLAIN.replace("2024-02", "x\n2024-02"), source={"skip_rows": 2}
    )


@pytest.mark.parametrize(
    ("body", "source", "row"),
    [
        (PLAIN.replace("-0.25", "bad"), {}, 3),
        ("# a\n# b\n" + PLAIN.replace("\n2024-02", "\n# c\n2024-02").replace("-0.25", "bad"), {"comment": "#"}, 6),
        ("a\nb\n" + PLAIN.replace("-0.25", "bad"), {"skip_rows": 2}, 5),
        (PLAIN.replace("a,5.5", '"two\nlines",5.5').replace("-0.25", "bad"), {}, 4),
        (PLAIN.replace("\n", "\n\n").replace("-0.25", "bad"), {}, 5),
        (PLAIN.replace("\n2024-02", "\nshort\n2024-02").replace("-0.25", "bad"), {"ragged": "drop"}, 4),
        (PLAIN.partition("\n")[2].replace("-0.25", "bad"), {"header": ["at", "shop", "x", "y"]}, 2),
        (PLAIN.replace("-0.25", "bad").encode("utf-16"), {"encoding": "utf-16"}, 3),
    ],
)
def test_the_row_of_an_error_is_that_of_the_file(error, body, source, row):
    assert f"such as `bad` in row {row}:" in error(body, source=source)
    ragged = body.decode("utf-16") if isinstance(body, bytes) else body
    if source.get("ragged") != "drop":
        ragged = ragged.replace("bad", "bad,more")
        body = ragged.encode("utf-16") if isinstance(body, bytes) else ragged
        assert f"row {row} has 5 of 4 columns" in error(body, source=source)


def test_rows_of_other_formats_are_counted_as_they_stand(error):
    lines = "\n\n".join(json.dumps(row | {"x": value}) for row, value in zip(OBJECTS, (5.5, "bad"), strict=True))
    assert "such as `bad` in row 3:" in error(lines, name="t.jsonl")
    rows = [
        ["Report"],
        [None],
        ["at", "shop", "x", "y"],
        ["2024-01-01", "a", 5.5, 1],
        [None],
        ["2024-01-02", "b", "bad", 1],
    ]
    assert "such as `bad` in row 6:" in error(workbook({"rows": rows}), name="t.xlsx", source={"skip_rows": 1})


@pytest.mark.parametrize(("text", "number"), [("(5)", -5), ("5-", -5), ("\u22125", -5), ("-5", -5), ("(5", None)])
def test_a_negative_number_may_be_written_as_books_do(read, error, text, number):
    body = PLAIN.replace("5.5", text)
    if number is None:
        assert "such as `(5` in row 2" in error(body)
    else:
        assert read(body)["x"].to_pylist() == [number, -0.25]


@pytest.mark.parametrize("name", ["AT", "Secret-At", " secret at "])
def test_values_and_names_of_hidden_columns_are_not_told(error, name):
    body = PLAIN.replace("at,shop", f"{name},shop").replace("2024-01-31T13:30:00", "31/12/2024")
    told = error(body, env={"NAME": "secret at"}, at={"from": "${NAME}"})
    assert "secret" not in told.lower() and "31/12" not in told
    if name == "AT":
        assert "has no column for at: correct" in told
    elif name == "Secret-At":
        assert "at: did you mean a name that differs in case or marks alone?" in told
    else:
        assert "such as `99/99/9999` in row 2: set columns.at.format to '%d/%m/%Y'" in told


@pytest.mark.parametrize(
    ("source", "columns", "told"),
    [
        ({"encoding": "martian"}, {}, "source.files.encoding: 'martian' is no encoding"),
        ({"decimal": ",", "thousands": ","}, {}, "thousands and decimal are both ','"),
        ({"delimiter": '"'}, {}, "quote and delimiter are both"),
        ({"missing": [False]}, {}, "write false in quotes"),
        ({}, {"at": {"format": "%H:%M"}}, "'%H:%M' is no format that tells a day"),
        ({}, {"x": {"format": "%Y-%m-%d"}}, "columns.x: format is for type time"),
        ({}, {"at": {"unit": "hours"}}, "the unit of a time is one of s, ms, us, ns, not hours"),
        ({}, {"at": {"unit": "s", "format": "%Y-%m-%d"}}, "give either format or unit"),
        ({}, {"at": {"decimal": ","}}, "decimal and thousands are for numbers"),
        ({}, {"x": {"true_words": ["ja"]}}, "true_words and false_words are for type boolean"),
        ({}, {"x": {"type": "boolean", "true_words": ["no"]}}, "'no' is both true and false"),
        ({}, {"at": {"from": ["day", "hour"]}}, "columns are joined to a time, and need a format"),
        ({}, {"x": {"missing": ["?"]}}, "values that mean none are missing_values"),
    ],
)
def test_keys_that_do_not_fit_are_refused(make_spec, source, columns, told):
    merged = {alias: column | columns.get(alias, {}) for alias, column in COLUMNS.items()}
    with pytest.raises(SpecError) as caught:
        make_spec({"kind": "files", "uri": "t.csv"} | source, columns=merged)
    assert told in str(caught.value)


def test_a_text_with_line_breaks_may_lie_where_arrow_cuts_a_file(read):
    rows = [f'2024-01-01,"{"line" * 20}\nend",{number},1' for number in range(40_000)]
    assert read("at,shop,x,y\n" + "\n".join(rows))["x"].to_pylist() == list(range(40_000))


OBJECTS = [
    {"at": "2024-01-31T13:30:00", "shop": "a", "x": 5.5, "y": 1861},
    {"at": "2024-02-01", "shop": "b", "x": -0.25, "y": "7"},
]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.ndjson.gz"])
def test_json_is_an_object_a_line_or_a_list(read, name):
    text = json.dumps(OBJECTS) if name == "t.json" else "\n".join(map(json.dumps, OBJECTS)) + "\n"
    body = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    assert values(read(body, name=name)) == ROWS


def test_json_that_is_none_is_told(error):
    assert "is no JSON in row 2" in error('{"at": 1}\n{"at"', name="t.jsonl")
    assert "row 1 is no JSON object" in error("[1]", name="t.json")
    assert "the file is empty" in error("", name="t.json")


def test_arrow_files_and_streams(read):
    table, body = pa.Table.from_pylist([row | {"y": 1.0} for row in OBJECTS]), io.BytesIO()
    with pa.ipc.new_stream(body, table.schema) as stream:
        stream.write_table(table)
    assert read(body.getvalue(), name="t.arrow")["x"].to_pylist() == [5.5, -0.25]


@pytest.mark.parametrize("ending", ["zst", "bz2", "xz"])
def test_other_packings(read, ending):
    pack = {"zst": lambda text: pa.compress(text, "zstd", asbytes=True), "bz2": bz2.compress, "xz": lzma.compress}[
        ending
    ]
    assert values(read(pack(PLAIN.encode()), name=f"t.csv.{ending}")) == ROWS


def test_the_sheet_of_a_workbook(read, error):
    header = ["at", "shop", "x", "y"]
    rows = [header, [datetime(2024, 1, 31, 13, 30), "a", 5.5, 1861], ["2024-02-01", "b", -0.25, 7]]
    assert values(read(workbook({"rows": rows}), name="t.xlsx")) == ROWS
    assert values(read(workbook({"notes": [["hello"]], "rows": rows}), name="t.xlsx", source={"sheet": "rows"})) == ROWS
    assert values(read(workbook({"rows": [["Report"], *rows]}), name="t.xlsx", source={"skip_rows": 1})) == ROWS
    assert "has 2 sheets (notes, rows): set source.sheet" in error(workbook({"notes": [], "rows": rows}), name="t.xlsx")
    assert "has no sheet of the name in source.sheet" in error(
        workbook({"rows": rows}), name="t.xlsx", source={"sheet": "old"}
    )
    assert "is no Excel workbook" in error(b"no workbook", name="t.xlsx")


def test_an_extra_that_is_not_installed_is_told_with_its_command(error, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert "pip install 'mlops-assets[excel]'" in error(b"", name="t.xlsx")
