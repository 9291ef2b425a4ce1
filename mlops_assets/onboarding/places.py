"""Where a table lies: the files that a path, a pattern or a URL means, and their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import urlsplit

from mlops_assets.errors import InputError, SourceError
from mlops_assets.sources.places import Absent, File
from mlops_assets.sources.remote import open_place
from mlops_assets.sources.retries import Retry

_TRIES = 2  # after the first


def is_database(place: str) -> bool:
    """Whether a URL is none of files: neither of the web nor of a store that fsspec knows."""
    import fsspec

    scheme = urlsplit(place).scheme if "://" in place else "file"
    return scheme not in fsspec.available_protocols()


def matching(place: str) -> list[str]:
    """All files of a folder, of a pattern, or the one that a path or URL names. Raises SourceError."""
    if "://" not in place:
        path = Path(place).expanduser()
        if path.is_file():
            return [place]
        return sorted(map(str, path.iterdir() if path.is_dir() else path.parent.glob(path.name)))
    if not (re.search(r"[*?\[]", urlsplit(place).path) or place.endswith("/")):
        return [place]
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(place + "*" * place.endswith("/"))
        return sorted(map(system.unstrip_protocol, system.glob(path)))
    except Exception as error:  # each store raises errors of its own
        raise SourceError(
            f"{shown(place)}: the store gave no usable answer ({type(error).__name__}): "
            "check the address, its credentials, and that its fsspec package is installed"
        ) from None


@contextmanager
def opened(place: str, timeout: float) -> Iterator[BinaryIO]:
    """The bytes of a file. Raises SourceError or InputError where it cannot be had."""
    with TemporaryDirectory() as folder:
        file = File(place, shown(place))
        where = open_place(place, shown(place), Path(folder), timeout, Retry(_TRIES))
        version = where.version(file)
        if isinstance(version, Absent):
            raise InputError(f"{file.label} is {version.value}: check its address, and access to it")
        with where.open(file, version) as stream:
            yield stream


def shown(place: str) -> str:
    """What messages call a place: a URL without user, password and what is asked."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def hides(place: str) -> bool:
    """Whether a URL holds what nobody may see: then the YAML names a variable instead."""
    return "://" in place and (shown(place) != place)
