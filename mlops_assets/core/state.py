"""State on disk without pickle: a JSON tree of named dataclasses with its arrays in one npz file, and lines of JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from mlops_assets.core.types import Array
from mlops_assets.errors import ModelError

State = TypeVar("State")

SMALL_UNPACKED = 50_000_000  # bytes; up to here a zip may hold whatever it says
MOST_TIMES_UNPACKED = 100  # the packed size, beyond that: a forest takes 4 to 12
# What reading JSON and NumPy files raises where their bytes are not what was written.
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
)


def save_state(state: Any, folder: Path, name: str) -> None:
    """Write `<name>.json` and `<name>.npz`; the same state gives the same bytes."""
    arrays: dict[str, Array] = {}
    tree = _pack(state, arrays)
    (folder / f"{name}.json").write_text(json.dumps(tree, indent=1), encoding="utf-8")
    np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays)


def load_state(folder: Path, name: str, classes: tuple[type[State], *tuple[type, ...]]) -> State:
    """Read what `save_state` wrote: one of the first of `classes`; only these are ever built.

    Raises ModelError where a file is missing, damaged or holds anything else.
    """
    by_name = {cls.__name__: cls for cls in classes}
    try:
        tree = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        with (folder / f"{name}.npz").open("rb") as stream:
            check_members(stream)
        with (folder / f"{name}.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            state = _unpack(tree, arrays, by_name)
        if not isinstance(state, classes[0]):
            raise TypeError(f"it holds no {classes[0].__name__}")
        return state
    except DAMAGE as error:
        raise ModelError(f"the saved {name} is damaged or of another version: {error}") from None


def check_members(stream: IO[bytes]) -> None:
    """Raise ModelError where a zip claims to unpack to far more than one of ours does.

    The claims can be gone by: whoever unpacks a member reads no more of it than was claimed.
    """
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
    packed, unpacked = stream.seek(0, os.SEEK_END), sum(member.file_size for member in members)
    if unpacked > max(SMALL_UNPACKED, MOST_TIMES_UNPACKED * packed):
        raise ModelError(
            f"a file of {packed / 1e6:.1f} MB claims to unpack to {unpacked / 1e6:,.0f} MB: it is not ours"
        )


def _pack(value: Any, arrays: dict[str, Array]) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {f.name: _pack(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return {"texts": value.tolist()}
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"array": key}
    if isinstance(value, dict):
        return {"map": {key: _pack(item, arrays) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_pack(item, arrays) for item in value]
    return value


def _unpack(tree: Any, arrays: Mapping[str, Array], by_name: Mapping[str, type]) -> Any:
    if isinstance(tree, list):
        return tuple(_unpack(item, arrays, by_name) for item in tree)
    if not isinstance(tree, dict):
        return tree
    if "class" in tree:
        return by_name[tree["class"]](**{k: _unpack(v, arrays, by_name) for k, v in tree["fields"].items()})
    if "array" in tree:
        return arrays[tree["array"]]
    if "texts" in tree:
        return np.array(tree["texts"], object)
    return {key: _unpack(item, arrays, by_name) for key, item in tree["map"].items()}


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line of JSON to a file; it is on disk when this returns. A kill leaves at most a torn last line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def cut_off(path: Path, end: int) -> None:
    """Keep the first `end` bytes of a file, so that whole lines can follow a torn one."""
    with path.open("rb+") as file:
        file.truncate(end)
