"""Rows that are equal to each other, told by a key of 64 bits a row."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_NONE = 0x7FF8_5EED_0000_0001  # no time or whole number of any data, and as a number not the NaN that is computed with
_ODD = np.uint64(0x9E37_79B9_7F4A_7C15)


def row_keys(table: pa.Table) -> np.ndarray:
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


def repeated(keys: np.ndarray) -> int:
    """How many keys are equal to an earlier one; they are put in order, since a month's are many."""
    keys.sort()
    return int(np.count_nonzero(keys[1:] == keys[:-1]))


def _bits(array: pa.Array) -> np.ndarray:
    import pyarrow as pa

    if not pa.types.is_string(array.type):
        whole = array.view(pa.int64())
        return (whole.fill_null(_NONE) if whole.null_count else whole).to_numpy().view(np.uint64)
    texts = array.dictionary_encode()
    known = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) for text in texts.dictionary.to_pylist()]
    codes = texts.indices
    codes = (codes.fill_null(len(known)) if codes.null_count else codes).to_numpy()
    return np.array([*known, _NONE], np.uint64)[codes]
