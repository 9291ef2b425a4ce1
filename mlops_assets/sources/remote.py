"""Files elsewhere: on a web server or in an object store, copied once a version; and which place a URI belongs to."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from mlops_assets.errors import SourceError, SourceUnreachable
from mlops_assets.sources.places import PARALLEL, Absent, Copies, File, LocalPlace, Place, short_hash
from mlops_assets.sources.retries import Retry, Temporary

if TYPE_CHECKING:
    import requests
    from fsspec import AbstractFileSystem


T = TypeVar("T")
_BLOCK = 1 << 20
# What object stores call a checksum, and a time of change.
_CHECKSUMS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_ABSENT = {403: Absent.DENIED, 404: Absent.MISSING, 410: Absent.MISSING}
_ADVICE = "check the address (source.uri or MLOPS_SOURCE_URI), or allow more time (MLOPS_HTTP_TIMEOUT)"


def open_place(uri: str, shown: str, cache: Path, timeout: float, retry: Retry) -> Place:
    """The place that a URI or path belongs to; messages call it what is `shown` of it."""
    scheme = urlsplit(uri).scheme if "://" in uri else "file"
    if scheme == "file":
        return LocalPlace()
    copies = Copies(cache)
    if scheme in ("http", "https"):
        return HttpPlace(_host(shown), copies, timeout, retry)
    return ObjectStore(scheme, copies)


def _host(uri: str) -> str:
    """What messages may call a server: its host, without user and password, or the URI's `${NAME}`."""
    return urlsplit(uri).netloc.rpartition("@")[2] or uri


class HttpPlace:
    """Files of a web server. `host` is what messages call it; `timeout` is for connecting and for each read.

    A version is the ETag, else Last-Modified and length, else the hash of the bytes.
    """

    def __init__(self, host: str, copies: Copies, timeout: float, retry: Retry) -> None:
        self._host = host
        self._copies = copies
        self._timeout = timeout
        self._retry = retry

    def version(self, file: File) -> str | Absent:
        answer = self._ask("HEAD", file, _response_version)
        if answer is Absent.DENIED or answer is None:
            # Some servers refuse HEAD; the headers of a GET tell the same, and its body is not fetched.
            answer = self._ask("GET", file, _response_version)
        return answer or self._copies.store(file.uri, lambda into: self._download(file, into))

    def open(self, file: File, version: str) -> AbstractContextManager[BinaryIO]:
        return self._copies.open(file.uri, version, lambda into: self._download(file, into))

    def _download(self, file: File, into: BinaryIO) -> str | None:
        def write(response: "requests.Response") -> str | None:
            into.seek(0)
            into.truncate()
            for block in response.iter_content(_BLOCK):  # raises where the body ends before Content-Length
                into.write(block)
            return _response_version(response)

        version = self._ask("GET", file, write)
        if isinstance(version, Absent):
            raise SourceError(f"{file.label}: {self._host} does not give it ({version.value})")
        return version

    def _ask(self, method: str, file: File, use: Callable[["requests.Response"], T]) -> T | Absent:
        import requests

        what = f"{file.label}: {self._host}"

        def attempt() -> T | Absent:
            try:
                with self._session.request(
                    method, file.uri, timeout=self._timeout, stream=True, allow_redirects=True
                ) as response:
                    return self._judge(response, what) or use(response)
            except requests.Timeout:
                raise Temporary(f"did not answer within {self._timeout:g} s") from None
            except requests.exceptions.SSLError:
                raise SourceError(f"{what} has no certificate that this machine trusts") from None
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                raise Temporary("refused or broke off the connection") from None
            except requests.RequestException as error:
                raise SourceError(f"{what} cannot be asked ({type(error).__name__}): {_ADVICE}") from None

        return self._retry.call(attempt, what, _ADVICE)

    def _judge(self, response: "requests.Response", what: str) -> Absent | None:
        status = response.status_code
        if status == 429 or (status >= 500 and status != 501):
            asked = response.headers.get("Retry-After", "")
            raise Temporary(f"answered {status}", after=float(asked) if asked.isdigit() else 0.0)
        refuses_head = response.request.method == "HEAD" and status in (405, 501)
        if status >= 400 and status not in _ABSENT and not refuses_head:
            raise SourceError(f"{what} answered {status}: {_ADVICE}")
        return _ABSENT.get(status)

    @cached_property
    def _session(self) -> "requests.Session":
        import requests
        from requests.adapters import HTTPAdapter

        session = requests.Session()
        session.headers["Accept-Encoding"] = "identity"  # packing would change Content-Length and the ETag
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=PARALLEL))
        return session


def _response_version(response: "requests.Response") -> str | None:
    headers = response.headers
    if response.status_code >= 400:
        return None
    if "ETag" in headers:
        return short_hash(headers["ETag"])
    if "Last-Modified" in headers:
        return short_hash(f"{headers['Last-Modified']} {headers.get('Content-Length', '')}")
    return None


class ObjectStore:
    """Files of one fsspec file system; its credentials and retries are those of its own package.

    A version is the store's checksum, else its time of change and the size, else the hash of the bytes.
    """

    def __init__(self, scheme: str, copies: Copies) -> None:
        import fsspec

        self._copies = copies
        try:
            fsspec.get_filesystem_class(scheme)
        except (ImportError, ValueError):
            raise SourceError(
                "the scheme of source.uri needs an fsspec package that is not installed, such as s3fs"
            ) from None

    def version(self, file: File) -> str | Absent:
        try:
            with self._asked(file) as (system, path):
                version = _object_version(system.info(path))
        except FileNotFoundError:
            return Absent.MISSING
        except PermissionError:
            return Absent.DENIED
        return version or self._copies.store(file.uri, lambda into: self._download(file, into))

    def open(self, file: File, version: str) -> AbstractContextManager[BinaryIO]:
        return self._copies.open(file.uri, version, lambda into: self._download(file, into))

    def _download(self, file: File, into: BinaryIO) -> str | None:
        with self._asked(file) as (system, path), system.open(path, "rb") as stream:
            shutil.copyfileobj(stream, into)
            return _object_version(system.info(path))

    @contextmanager
    def _asked(self, file: File) -> Iterator[tuple["AbstractFileSystem", str]]:
        """The file's system and path. Each store raises errors of its own, so every kind is translated."""
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(file.uri)
            system.invalidate_cache()  # systems and their listings live as long as the process
            yield system, path
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:
            raise SourceUnreachable(
                f"{file.label}: the store gave no usable answer ({type(error).__name__}): "
                "check its address (source.uri or MLOPS_SOURCE_URI) and credentials"
            ) from None


def _object_version(facts: dict[str, Any]) -> str | None:
    for name in _CHECKSUMS:
        if facts.get(name):
            return short_hash(str(facts[name]))
    for name in _TIMES:
        if facts.get(name):
            return short_hash(f"{facts[name]} {facts.get('size')}")
    return None
