"""What one pass over a period's rows finds, a batch at a time, so that no period has to fit into memory.

It counts raw and clean rows for the judgements of `quality`. Rows that are equal are found by a key of 64 bits each.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_assets.core.columns import from_table
from mlops_assets.core.prepare.cleaning import TARGET, in_period, target
from mlops_assets.core.prepare.schemas import clean_schema, raw_schema, surely_fits, validate
from mlops_assets.core.types import FloatArray, KeyArray
from mlops_assets.dataset import DatasetSpec

if TYPE_CHECKING:
    import pandera.pandas as pandera
    import pyarrow as pa

Number = TypeVar("Number", np.float64, np.uint64)
_NONE = 0x7FF8_5EED_0000_0001  # no time or whole number of any data, and as a number not the NaN that is computed with
_ODD = np.uint64(0x9E37_79B9_7F4A_7C15)


def row_keys(table: pa.Table) -> KeyArray:
    """A key (n,) uint64 a row: equal rows have equal ones, and two others by chance one time in 2**64.

    Columns are int64, float64, string or timestamp. Each is folded in by a xor, a product with an odd number and a
    shift: one to one, so that rows which differ in one column alone never share a key.
    """
    keys = np.zeros(table.num_rows, np.uint64)
    room = np.empty_like(keys)
    for column in table.columns:
        bits = _bits(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())
        np.right_shift(bits, np.uint64(32), out=room)  # the low bits of a float are mostly zero, and so their product
        room ^= bits
        keys ^= room
        keys *= _ODD
        np.right_shift(keys, np.uint64(29), out=room)
        keys ^= room
    return keys


def repeated(keys: KeyArray) -> int:
    """How many keys are equal to an earlier one; they are put in order, since a period's are many."""
    keys.sort()
    return int(np.count_nonzero(keys[1:] == keys[:-1]))


def _bits(array: pa.Array) -> KeyArray:
    import pyarrow as pa

    bits: KeyArray
    if not pa.types.is_string(array.type):
        whole = array.view(pa.int64())
        bits = (whole.fill_null(_NONE) if whole.null_count else whole).to_numpy().view(np.uint64)
        return bits
    texts = array.dictionary_encode()
    digests = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) for text in texts.dictionary.to_pylist()]
    codes = texts.indices
    codes = (codes.fill_null(len(digests)) if codes.null_count else codes).to_numpy()
    bits = np.array([*digests, _NONE], np.uint64)[codes]
    return bits


class _Growing(Generic[Number]):
    """Numbers that come in parts, in one array (n,): a list of parts, joined in the end, would be there twice."""

    def __init__(self, dtype: type[Number]) -> None:
        self.values: npt.NDArray[Number] = np.empty(0, dtype)

    def add(self, part: npt.NDArray[Number]) -> None:
        count = len(self.values)
        self.values.resize(count + len(part), refcheck=False)  # in place: nobody else has seen it yet
        self.values[count:] = part


class RawRows:
    """Rows as they came. `empty`: rows without a value by alias. `elsewhere`: rows whose time is of other periods.

    `ragged`: rows of the file that were left out, for they had too few or too many values. `problems`: what does not
    fit the schema; where there is some, or no row, nothing else is counted.
    """

    def __init__(self, spec: DatasetSpec, partition: str) -> None:
        self.rows = self.elsewhere = self.ragged = 0
        self.empty = dict.fromkeys(spec.used_columns(), 0)
        self.problems: tuple[str, ...] = ()
        self._spec, self._partition = spec, partition
        self._schema: pandera.DataFrameSchema | None = None
        self._targets, self._keys = _Growing(np.float64), _Growing(np.uint64)

    def add(self, table: pa.Table) -> None:
        spec = self._spec
        if self._schema is None:  # types alone, which all batches share
            self._schema = raw_schema(spec)
            self.problems = validate(self._schema, table.slice(0, 1))
        self.rows += table.num_rows
        if self.problems or not table.num_rows:
            return
        table = table.select(spec.used_columns())
        columns = from_table(table, {*spec.target.columns, *([spec.time.column] if spec.time else ())})
        self._targets.add(target(spec, columns))
        self._keys.add(row_keys(table))
        for alias, column in zip(table.column_names, table.columns, strict=True):
            self.empty[alias] += _missing(column)
        if spec.time and not spec.time.keep_other_periods:
            times = columns[spec.time.column]
            with_time = table.num_rows - table.column(spec.time.column).null_count
            self.elsewhere += with_time - int(np.count_nonzero(in_period(times, spec.time.cadence, self._partition)))

    @property
    def y(self) -> FloatArray:
        """Targets (n,), NaN where not known."""
        return self._targets.values

    @property
    def repeated(self) -> int:
        """Rows that are equal to an earlier one."""
        return repeated(self._keys.values)


class CleanRows:
    """Rows that were cleaned: how many, and the targets of those that fit their schema."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.rows = 0
        self._spec, self._schema = spec, clean_schema(spec)
        self._unfit: list[pa.Table] = []
        self._targets = _Growing(np.float64)

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        if surely_fits(self._spec, table) or not validate(self._schema, table):
            self._targets.add(table.column(TARGET).to_numpy())
        else:
            self._unfit.append(table)

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not fit the schema, counted over all batches."""
        import pyarrow as pa

        return validate(self._schema, pa.concat_tables(self._unfit)) if self._unfit else ()

    @property
    def y(self) -> FloatArray:
        """Targets (n,)."""
        return self._targets.values


def _missing(column: pa.ChunkedArray) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    nan = pc.sum(pc.is_nan(column)).as_py() if pa.types.is_floating(column.type) else 0
    return int(column.null_count + (nan or 0))
