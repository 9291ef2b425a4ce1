"""Pandera schemas of raw and clean tables, made from a dataset's spec, and what breaks them in plain words.

They describe the pandas form of a normalised Arrow table: whole numbers stay whole where some are missing,
and times keep their microseconds. Most clean tables fit theirs, which is seen sooner on the Arrow table itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.prepare.cleaning import ROW_ID, TARGET, kept_columns
from mlops_assets.core.types import FloatArray, IntArray
from mlops_assets.dataset import DatasetSpec, RowRule

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pandera
    import pyarrow as pa
    from pandera.errors import SchemaError

EXAMPLES = 2
EXAMPLE_LENGTH = 40


def required_columns(spec: DatasetSpec) -> set[str]:
    """Aliases that no clean row lacks: the time column, and those of rules that say so."""
    required = {rule.column for rule in spec.rows if rule.not_null}
    return required | ({spec.time.column} if spec.time else set())


def raw_schema(spec: DatasetSpec) -> pandera.DataFrameSchema:
    """Schema of rows as they came: the spec's columns with their types; any value may be empty."""
    import pandera.pandas as pandera

    columns = {alias: _column(spec, alias, nullable=True) for alias in spec.used_columns()}
    about = spec.redact(spec.description)
    return pandera.DataFrameSchema(columns, strict=True, name=f"{spec.name}_raw", description=about)


def clean_schema(spec: DatasetSpec) -> pandera.DataFrameSchema:
    """Schema of rows that passed cleaning: the kept columns within their rules, and the target."""
    import pandera.pandas as pandera

    first = pandera.Check.ge(0, description="at least 0")
    columns = {ROW_ID: pandera.Column("Int64", first, unique=True, description="place in the raw table")}
    for alias in kept_columns(spec):
        checks = [check for rule in spec.rows if rule.column == alias for check in _rule_checks(spec, rule)]
        columns[alias] = _column(spec, alias, nullable=alias not in required_columns(spec), checks=checks)
    keep = spec.target.keep
    within = [pandera.Check.in_range(*keep, description=f"in {keep[0]:g}..{keep[1]:g}")] if keep else []
    unit = f", in {spec.target.unit}" if spec.target.unit else ""
    columns[TARGET] = pandera.Column("float64", within, description=f"what is predicted{unit}")
    about = spec.redact(spec.description)
    return pandera.DataFrameSchema(columns, strict=True, name=f"{spec.name}_clean", description=about)


def _column(spec: DatasetSpec, alias: str, nullable: bool, checks: list[pandera.Check] | None = None) -> pandera.Column:
    import pandera.pandas as pandera

    column = spec.columns[alias]
    kind = f"{column.type}, wall clock of {column.timezone}" if column.timezone else column.type
    unit = f", in {column.measured_in}" if column.measured_in else ""
    about = spec.redact(f"{column.description} ({kind}{unit})" if column.description else f"{kind}{unit}")
    return pandera.Column(_pandas_types()[column.type], checks, nullable=nullable, description=about)


def _rule_checks(spec: DatasetSpec, rule: RowRule) -> Iterator[pandera.Check]:
    """Bounds of one rule; pandera lets empty values pass them, as cleaning does."""
    from pandera.pandas import Check

    def description(text: str, *values: str | float) -> str:
        words = (value if isinstance(value, str) else f"{value:.15g}" for value in values)
        return spec.redact(f"{rule.name}: {text} {', '.join(words)}")

    if rule.min is not None:
        yield Check.ge(rule.min, description=description("at least", rule.min))
    if rule.max is not None:
        yield Check.le(rule.max, description=description("at most", rule.max))
    if rule.one_of:
        yield Check.isin(rule.one_of, description=description("one of", *rule.one_of))
    if rule.none_of:
        yield Check.notin(rule.none_of, description=description("none of", *rule.none_of))


def validate(schema: pandera.DataFrameSchema, table: pa.Table) -> tuple[str, ...]:
    """Problems of a table in plain words, by alias; empty where it fits.

    Column names that the schema does not know are counted, never told: they may be real ones.
    """
    from pandera.errors import SchemaErrors

    try:
        schema.validate(_to_pandas(table), lazy=True, inplace=True)
    except SchemaErrors as error:
        return tuple(_problems(schema, error.schema_errors))
    return ()


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    import pyarrow as pa

    types = _pandas_types()
    arrow = {pa.int64(): types["integer"], pa.string(): types["text"], pa.timestamp("us"): types["time"]}
    frame: pd.DataFrame = table.to_pandas(types_mapper=arrow.get)
    return frame


def _pandas_types() -> dict[str, Any]:
    """pandas types by spec type; times are Arrow's, as pandera takes every unit of datetime64 as one."""
    import pandas as pd
    import pyarrow as pa

    times = pd.ArrowDtype(pa.timestamp("us"))
    return {"integer": pd.Int64Dtype(), "number": "float64", "text": pd.StringDtype("pyarrow"), "time": times}


def _problems(schema: pandera.DataFrameSchema, errors: Sequence[SchemaError]) -> Iterator[str]:
    from pandera.errors import SchemaErrorReason as Reason

    unknown = sum(error.reason_code is Reason.COLUMN_NOT_IN_SCHEMA for error in errors)
    mistyped = {error.column_name for error in errors if error.reason_code is Reason.WRONG_DATATYPE}
    if unknown:
        yield f"{unknown} column(s) that the dataset does not name"
    for error in errors:
        alias, cases, reason = error.column_name, error.failure_cases, error.reason_code
        if reason is Reason.COLUMN_NOT_IN_DATAFRAME:
            yield f"{cases}: the column is missing"
        elif reason is Reason.WRONG_DATATYPE:
            yield f"{alias}: the type is {cases}, not {schema.columns[alias].dtype}"
        elif reason is Reason.COLUMN_NOT_IN_SCHEMA or alias in mistyped:
            continue  # told above, or a consequence of the wrong type
        elif reason is Reason.SERIES_CONTAINS_NULLS:
            yield f"{alias}: {len(cases):,} row(s) are empty"
        elif reason is Reason.SERIES_CONTAINS_DUPLICATES:
            yield f"{alias}: {len(cases):,} row(s) repeat a value{_examples(cases)}"
        else:
            yield f"{alias}: {len(cases):,} row(s) break '{error.check.description}'{_examples(cases)}"


def _examples(cases: pd.DataFrame) -> str:
    values = cases["failure_case"].drop_duplicates().head(EXAMPLES)
    return f" (such as {', '.join(str(value)[:EXAMPLE_LENGTH] for value in values)})"


def surely_fits(spec: DatasetSpec, table: pa.Table) -> bool:
    """Whether a clean table fits `clean_schema(spec)`; where this says no, only `validate` knows, and says why."""
    required = {ROW_ID, TARGET, *required_columns(spec)}
    return (
        table.num_rows > 0
        and dict(zip(table.schema.names, table.schema.types, strict=True)) == _types(spec)
        and not any(table.column(alias).null_count for alias in required if alias in table.schema.names)
        and _is_ascending(table.column(ROW_ID).to_numpy())
        and _are_kept(spec, table.column(TARGET).to_numpy())
        and all(_keeps(rule, table.column(rule.column)) for rule in spec.rows if rule.column in table.schema.names)
    )


def _types(spec: DatasetSpec) -> dict[str, pa.DataType]:
    import pyarrow as pa

    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
    kept = {alias: types[spec.columns[alias].type] for alias in kept_columns(spec)}
    return {ROW_ID: pa.int64(), **kept, TARGET: pa.float64()}


def _is_ascending(places: IntArray) -> bool:
    return bool(places[0] >= 0 and (places[1:] > places[:-1]).all())


def _are_kept(spec: DatasetSpec, y: FloatArray) -> bool:
    low, high = spec.target.keep or (-np.inf, np.inf)
    return bool(low <= y.min() and y.max() <= high)  # neither is so of NaN


def _keeps(rule: RowRule, values: pa.ChunkedArray) -> bool:
    """Whether no value breaks the rule; an empty one does not, nor does a column of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if rule.one_of or rule.none_of:
        distinct = set(pc.unique(values).drop_null().to_pylist())
        if not distinct.isdisjoint(rule.none_of or ()) or (rule.one_of and not distinct.issubset(rule.one_of)):
            return False
    if (rule.min is None and rule.max is None) or values.null_count == len(values):
        return True
    if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
        return False
    low, high = (end.as_py() for end in pc.min_max(values).values())
    return bool((rule.min is None or low >= rule.min) and (rule.max is None or high <= rule.max))
