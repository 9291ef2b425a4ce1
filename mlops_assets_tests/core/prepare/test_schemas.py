import re

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.prepare.cleaning import clean
from mlops_assets.core.prepare.schemas import clean_schema, raw_schema, validate
from mlops_assets.dataset import DatasetSpec, load_dataset

SPEC = DatasetSpec.model_validate(
    {
        "name": "parcels",
        "source": {"kind": "files", "uri": "parcels.parquet"},
        "columns": {
            "sent_at": {"from": "SECRET_TS", "type": "time", "timezone": "Europe/Berlin"},
            "depot": {"from": "SECRET_DEPOT", "type": "integer"},
            "size": {"type": "text"},
            "weight": {"type": "number"},
            "hours": {"type": "number"},
        },
        "time": {"column": "sent_at", "first": "2024-01"},
        "target": {"column": "hours", "keep": [1, 100], "unit": "hours"},
        "rows": [
            {"name": "a real weight", "column": "weight", "min": 0.1, "max": 30},
            {"name": "a known depot", "column": "depot", "one_of": [1, 2, 3], "not_null": True},
            {"name": "no test parcels", "column": "size", "none_of": ["test"]},
        ],
        "features": {"categorical": ["depot", "size"], "numeric": {"weight": {}}},
    }
)
DAY = np.datetime64("2024-01-05T10:00", "us")


def raw_table(**changes) -> pa.Table:
    columns = {
        "sent_at": pa.array([DAY, DAY, DAY, DAY]),
        "depot": pa.array([1, 2, 3, None], pa.int64()),
        "size": pa.array(["small", None, "large", "small"]),
        "weight": pa.array([1.5, None, 3.0, 2.0]),
        "hours": pa.array([10.0, 20.0, 30.0, 40.0]),
    }
    return pa.table(columns | changes)


def clean_table(**changes) -> pa.Table:
    columns = {
        "row_id": pa.array([0, 2, 5]),
        "sent_at": pa.array([DAY, DAY, DAY]),
        "depot": pa.array([1, 2, 3]),
        "size": pa.array(["small", None, "large"]),
        "weight": pa.array([1.5, None, float("nan")]),
        "target": pa.array([1.0, 50.0, 100.0]),
    }
    return pa.table(columns | changes)


def test_a_raw_table_with_empty_values_fits():
    assert validate(raw_schema(SPEC), raw_table()) == ()


def test_a_table_without_rows_fits():
    assert validate(raw_schema(SPEC), raw_table().slice(0, 0)) == ()


def test_what_cleaning_gives_fits_the_clean_schema():
    cleaned = clean(SPEC, raw_table(weight=pa.array([0.1, 30.0, 31.0, 0.0])), "2024-01")
    assert cleaned.table.num_rows == 2
    assert validate(clean_schema(SPEC), cleaned.table) == ()


def test_limits_belong_to_their_range():
    assert validate(clean_schema(SPEC), clean_table(weight=pa.array([0.1, 30.0, None]))) == ()


def test_a_missing_column_is_told_by_its_alias():
    assert validate(raw_schema(SPEC), raw_table().drop_columns("depot")) == ("depot: the column is missing",)


def test_a_column_the_dataset_does_not_name_is_counted_and_not_told():
    problems = validate(raw_schema(SPEC), raw_table(SECRET_TS=pa.array([1, 2, 3, 4])))
    assert problems == ("1 column(s) that the dataset does not name",)


@pytest.mark.parametrize(
    ("alias", "values"),
    [
        ("depot", pa.array([1.0, 2.0, 3.0, 4.0])),
        ("depot", pa.array([1, 2, 3, 4], pa.int32())),
        ("weight", pa.array(["1", "2", "3", "4"])),
        ("size", pa.array([1, 2, 3, 4])),
        ("sent_at", pa.array([DAY] * 4).cast(pa.timestamp("ns"))),
        ("sent_at", pa.array([DAY] * 4).cast(pa.timestamp("us", "UTC"))),
    ],
)
def test_another_type_is_the_only_problem_told_of_a_column(alias, values):
    (problem,) = validate(raw_schema(SPEC), raw_table(**{alias: values}))
    assert problem.startswith(f"{alias}: the type is ")


def test_what_follows_from_another_type_is_not_told():
    problems = validate(clean_schema(SPEC), clean_table(depot=pa.array(["9", "1", None])))
    assert problems == ("depot: the type is string, not Int64",)


@pytest.mark.parametrize(
    ("alias", "values", "problem"),
    [
        ("target", [0.5, 50.0, 100.5], "target: 2 row(s) break 'in 1..100' (such as 0.5, 100.5)"),
        ("target", [None, 50.0, float("nan")], "target: 2 row(s) are empty"),
        ("weight", [0.0, 0.0, 31.0], "weight: 2 row(s) break 'a real weight: at least 0.1' (such as 0.0)"),
        ("depot", [1, 2, 9], "depot: 1 row(s) break 'a known depot: one of 1, 2, 3' (such as 9)"),
        ("depot", [1, 2, None], "depot: 1 row(s) are empty"),
        (
            "size",
            ["test", "large", None],
            "size: 1 row(s) break 'no test parcels: none of test' (such as test)",
        ),
        ("sent_at", [DAY, DAY, None], "sent_at: 1 row(s) are empty"),
        ("row_id", [7, 7, 8], "row_id: 2 row(s) repeat a value (such as 7)"),
    ],
)
def test_a_clean_row_that_breaks_a_rule_is_told_with_its_count_and_values(alias, values, problem):
    table = clean_table()
    changed = clean_table(**{alias: pa.array(values, table.schema.field(alias).type)})
    assert problem in validate(clean_schema(SPEC), changed)


def test_all_problems_are_told_at_once():
    broken = clean_table(target=pa.array([0.0, None, 1.0]), depot=pa.array([1, 2, 9])).drop_columns("size")
    assert {problem.split(":")[0] for problem in validate(clean_schema(SPEC), broken)} == {
        "size",
        "depot",
        "target",
    }


def test_a_long_value_is_cut_short():
    spec = SPEC.model_copy(update={"rows": (SPEC.rows[2].model_copy(update={"none_of": ("x" * 1000,)}),)})
    table = clean_table(size=pa.array(["x" * 1000] * 3))
    (problem,) = validate(clean_schema(spec), table)
    assert problem.endswith(f"(such as {'x' * 40})")


def test_whole_numbers_beyond_a_float_are_kept_beside_an_empty_value():
    big = 2**53 + 1
    problems = validate(clean_schema(SPEC), clean_table(depot=pa.array([big, 1, None])))
    assert any(str(big) in problem for problem in problems)


def test_a_snapshot_needs_no_time():
    spec = SPEC.model_copy(update={"time": None, "key": ("sent_at",)})
    empty = pa.array([None, DAY, None], pa.timestamp("us"))
    assert validate(clean_schema(spec), clean_table(sent_at=empty)) == ()


@pytest.mark.filterwarnings("ignore:.*pandera_schema_to_dagster_type.*beta")
@pytest.mark.parametrize("name", ["nyc_flights", "nyc_green_taxi"])
def test_a_schema_becomes_the_column_schema_that_dagster_shows(name):
    from dagster_pandera import pandera_schema_to_dagster_type

    spec = load_dataset(name, {})
    raw = pandera_schema_to_dagster_type(raw_schema(spec)).metadata["schema"].value
    cleaned = pandera_schema_to_dagster_type(clean_schema(spec)).metadata["schema"].value
    assert [column.name for column in raw.columns] == list(spec.columns)
    for shown, column in zip(raw.columns, spec.columns.values(), strict=True):
        assert {column.description, column.type, column.measured_in} - {""} <= set(
            re.split(r" \(|, (?:in )?|\)", shown.description)
        )
    target = cleaned.columns[-1]
    assert (target.name, target.type, target.constraints.nullable) == ("target", "float64", False)
    assert target.constraints.other == [f"in {spec.target.keep[0]:g}..{spec.target.keep[1]:g}"]
    real_names = {column.source_name for column in spec.columns.values()} - {*spec.columns, None}
    assert real_names.isdisjoint(re.findall(r"\w+", f"{raw} {cleaned}"))


def test_a_value_from_the_environment_shows_as_its_variable(tmp_path):
    path = tmp_path / "parcels.yaml"
    path.write_text(
        """
name: parcels
description: Parcels of ${FIRM}.
source: {kind: files, uri: parcels.parquet}
columns: {size: {type: text, description: "As ${FIRM} measures"}, hours: {type: number}}
target: {column: hours}
rows: [{name: no parcels of ours, column: size, none_of: ["${FIRM}"]}]
features: {categorical: [size]}
""",
        encoding="utf-8",
    )
    schema = clean_schema(load_dataset(str(path), {"FIRM": "Hidden Ltd"}))
    assert schema.description == "Parcels of ${FIRM}."
    assert schema.columns["size"].description == "As ${FIRM} measures (text)"
    assert schema.columns["size"].checks[0].description == "no parcels of ours: none of ${FIRM}"
