"""The small inputs in a folder `shared/cases` beside the checkout: each ends as its README says is right."""

import io
from pathlib import Path

import pytest

from mlops_assets.cli.init import write_yaml
from mlops_assets.dataset import load_dataset
from mlops_assets.errors import MlopsError
from mlops_assets.sources import open_source

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder shared/cases beside the checkout")

# What the YAML that lies beside the rows, and knows nothing of how they are written, is told.
TOLD = {
    "dates_dmy": "such as `01/01/2024 00:00` in row 2: set columns.at.format to '%d/%m/%Y %H:%M'",
    "two_digit_year": "such as `24-01-01 00:00` in row 2: set columns.at.format to",
    "slashes_ymd": "set columns.at.format to '%Y/%m/%d %H:%M'",
    "epoch_seconds": "such as `1704067200` in row 2: set columns.at.unit to s",
    "decimal_comma": "such as `5,92` in row 2: set in columns.x: decimal to ','",
    "thousands": "such as `1,861` in row 2: set in columns.x: thousands to ','",
    "currency": "such as `$14.07` in row 2: set in columns.y: strip to ['$']",
    "latin1": "is not UTF-8 at row 2 (byte 0xfc): set source.encoding",
    "utf16": "is not UTF-8 at row 1: set source.encoding, to utf-16",
    "ragged": "row 2 has 3 of 4 columns",
    "comment_lines": "line 1 (`# exported by tool 3.1`) is no header",
    "empty_file": "the file is empty",
    "header_only": "has no rows below its header",
    "bool_text": "set columns.x.type to boolean",
    "question_mark_missing": "in 35 of 240 rows, such as `?` in row 2: set columns.x.missing_values to ['?']",
    "duplicate_header": "2 columns for x are called 'x': rename one",
    "drift_renamed_case": "period 2024-03 has no column for at, shop, x, y (at: did you mean 'At'?; shop:",
    "drift_column_gone": "period 2024-03 has no column for x",
    "drift_type": "period 2024-03: column x cannot be read as number in 5 of 60 rows, such as `low` in row 6: set",
}
# What `init` writes into the YAML, or says instead.
WRITTEN = {
    "dates_dmy": "format: '%d/%m/%Y %H:%M'",
    "two_digit_year": "format: '%y-%m-%d %H:%M'",
    "slashes_ymd": "format: '%Y/%m/%d %H:%M'",
    "epoch_seconds": "unit: s",
    "decimal_comma": "x: {decimal: ','}",
    "thousands": "x: {type: integer, thousands: ','}",
    "currency": "y: {strip: [$]}",
    "latin1": "encoding: cp1252",
    "utf16": "encoding: utf-16",
    "ragged": "ragged: drop",
    "comment_lines": "comment: '#'",
    "bool_text": "x: {type: boolean}",
    "question_mark_missing": "missing_values: ['?']",
    "dot_missing_sentinel": "missing_values: [-200.0]",
    "header_spaces": "x: {from: ' x'}",
    "all_missing_feature": "# x: it is empty",
    "constant_feature": "# x: it is the same in all rows",
    "high_card": "# shop: nearly each row has its own: 240 values in 240 rows",
    "one_row_month": "# 2024-04 has only begun, with 1 rows",
    "drift_renamed_case": "# 2024-03.csv has no column at, shop, x, y",
    "drift_column_gone": "# 2024-03.csv has no column x",
    "drift_type": "x: {missing_values: [low]}  # 'low': rare among other values, so read as missing",
}
REFUSED = {
    "empty_file": "the file is empty",
    "header_only": "the table has no rows",
    "duplicate_header": "2 columns are called 'x': rename one",
    "constant_target": "y is the same in all rows: there is nothing to predict",
}
READ = [case.name for case in sorted(CASES.iterdir()) if case.is_dir()] if CASES.is_dir() else []
ROWS = {"one_row_month": 181, "gap_month": 180, "drift_empty_month": 180, "growing_meter": 720}


@pytest.fixture
def rows(tmp_path):
    """How many rows are read by a YAML, and the columns of the first partition."""

    def rows(yaml: Path, env: dict[str, str]) -> tuple[int, dict[str, list]]:
        source = open_source(load_dataset(str(yaml), env), tmp_path / "cache", timeout=5, retries=0)
        tables = [source.read(partition) for partition in source.partitions()]
        return sum(table.num_rows for table in tables), tables[0].to_pydict()

    return rows


@pytest.mark.parametrize("case", READ)
def test_the_yaml_of_a_case_reads_its_rows_or_says_what_is_missing(case, rows):
    folder = CASES / case
    if case in TOLD:
        with pytest.raises(MlopsError) as caught:
            rows(folder / "dataset.yaml", {"CASE": str(folder)})
        assert TOLD[case] in str(caught.value) and "damaged" not in str(caught.value)
    else:
        assert rows(folder / "dataset.yaml", {"CASE": str(folder)})[0] == ROWS.get(case, 240)


@pytest.mark.parametrize("case", READ)
def test_init_writes_a_yaml_that_reads_a_case_or_says_what_is_missing(case, rows, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    single = CASES / case / "data.csv"
    place, out = str(single if single.exists() else CASES / case / "*.csv"), tmp_path / "out.yaml"
    if case in REFUSED:
        with pytest.raises(MlopsError) as caught:
            write_yaml(place, None, "y", out)
        assert REFUSED[case] in str(caught.value) and not out.exists()
        return
    write_yaml(place, None, "y", out)
    text = out.read_text()
    assert WRITTEN.get(case, "") in text, text
    if not case.startswith("drift_"):
        count, columns = rows(out, {})
        assert count == {"ragged": 240, "one_row_month": 180}.get(case, ROWS.get(case, 240))
        assert all(any(value is not None for value in values) for values in columns.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        ("constant_target", 1, "the target is 7 in all 120 rows to learn from"),
        ("one_row_month", 1, "Not promoted: 1 test rows are too few to judge by"),
        ("growing_meter", 0, "Promoted: there is no champion yet"),
        ("drift_units", 1, "Not promoted"),
        ("drift_column_gone", 1, "raw_data[2024-03] failed: period 2024-03 has no column for x"),
        ("drift_empty_month", 1, "the window has a gap: 2024-03"),
    ],
)
def test_a_run_of_a_case_ends_as_is_right(case, code, said, new_home):
    folder = str(CASES / case)
    home = new_home(
        MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="1", CASE=folder, MLOPS_DATASET=f"{folder}/dataset.yaml"
    )
    answer = home.command("run")
    assert (answer.code, said in answer.out, "Traceback" in answer.out + answer.err) == (code, True, False), answer
