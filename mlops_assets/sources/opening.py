"""Which place a path or URL belongs to."""

from pathlib import Path
from urllib.parse import urlsplit

from mlops_assets.dataset import DatasetSpec
from mlops_assets.sources.failures import Retry
from mlops_assets.sources.places import Copies, LocalPlace, Place


def open_place(uri: str, spec: DatasetSpec, cache: Path, timeout: float, retry: Retry) -> Place:
    """The place that a URI or path belongs to."""
    scheme = urlsplit(uri).scheme if "://" in uri else "file"
    if scheme == "file":
        return LocalPlace()
    copies = Copies(cache)
    if scheme in ("http", "https"):
        from mlops_assets.sources.http import HttpPlace

        return HttpPlace(_host(spec.redact(uri)), copies, timeout, retry)
    from mlops_assets.sources.object_store import ObjectStore

    return ObjectStore(scheme, copies)


def _host(shown: str) -> str:
    """What messages may call a server: its host, without user and password, or the URI's `${NAME}`."""
    return urlsplit(shown).netloc.rpartition("@")[2] or shown
