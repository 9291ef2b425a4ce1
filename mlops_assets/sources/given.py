"""A file of rows that a caller names by path or URL, read a chunk at a time."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import InputError, SourceError
from mlops_assets.sources.failures import Retry, stepwise_without_chain, without_chain
from mlops_assets.sources.opening import open_place
from mlops_assets.sources.places import Absent, File, Place
from mlops_assets.sources.row_chunks import Chunk, ChunkReader

_FORM = re.compile(r"\.(json|csv|parquet)$", re.IGNORECASE)


@without_chain
def rows_of_file(
    uri: str, reader: ChunkReader, spec: DatasetSpec, cache: Path, *, timeout: float, retries: int
) -> Generator[Chunk, None, None]:
    """The rows of a .json, .csv or .parquet file; `spec` knows what messages must not show.

    Raises InputError or BadTable where the file is not such rows, and SourceError where it cannot be had.
    """
    form = _FORM.search(urlsplit(uri).path if "://" in uri else uri)
    if not form:
        raise InputError("the file's name must end in .json, .csv or .parquet")
    if "@" in urlsplit(uri).netloc:
        raise InputError("the file's URL must hold no user and no password: it would be kept with the run")
    place, file = open_place(uri, spec, cache, timeout, Retry(retries)), File(uri, "the file of rows")
    version = place.version(file)
    if isinstance(version, Absent):
        raise SourceError(f"{file.label} is {version.value}: correct its path, as the run sees it")
    return stepwise_without_chain(_chunks(place, file, version, reader, form[1].lower()))


def _chunks(place: Place, file: File, version: str, reader: ChunkReader, form: str) -> Generator[Chunk, None, None]:
    with place.open(file, version) as stream:
        yield from reader.file(stream, form, file.label)
