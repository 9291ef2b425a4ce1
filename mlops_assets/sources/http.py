"""Files behind http:// and https://, copied once a version."""

from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from mlops_assets.errors import SourceError
from mlops_assets.sources.failures import Retry, Temporary
from mlops_assets.sources.places import PARALLEL, Absent, Copies, File, short_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

T = TypeVar("T")
_BLOCK = 1 << 20
_ABSENT = {403: Absent.DENIED, 404: Absent.MISSING, 410: Absent.MISSING}
_ADVICE = "check the address (source.uri or MLOPS_SOURCE_URI), or allow more time (MLOPS_HTTP_TIMEOUT)"


class HttpPlace:
    """Files of a web server. `host` is what messages call it; `timeout` is for connecting and for each read.

    A version is the ETag, else Last-Modified and length, else the hash of the bytes.
    """

    def __init__(self, host: str, copies: Copies, timeout: float, retry: Retry):
        self._host = host
        self._copies = copies
        self._timeout = timeout
        self._retry = retry

    def version(self, file: File) -> str | Absent:
        answer = self._ask("HEAD", file, _version)
        if answer is Absent.DENIED or answer is None:
            # Some servers refuse HEAD; the headers of a GET tell the same, and its body is not fetched.
            answer = self._ask("GET", file, _version)
        return answer or self._copies.store(file.uri, lambda into: self._download(file, into))

    def open(self, file: File, version: str) -> AbstractContextManager[BinaryIO]:
        return self._copies.open(file.uri, version, lambda into: self._download(file, into))

    def _download(self, file: File, into: BinaryIO) -> str | None:
        def write(response: "requests.Response") -> str | None:
            into.seek(0)
            into.truncate()
            for block in response.iter_content(_BLOCK):  # raises where the body ends before Content-Length
                into.write(block)
            return _version(response)

        version = self._ask("GET", file, write)
        if isinstance(version, Absent):
            raise SourceError(f"{file.label}: {self._host} does not give it ({version.value})")
        return version

    def _ask(self, method: str, file: File, use: "Callable[[requests.Response], T]") -> T | Absent:
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


def _version(response: "requests.Response") -> str | None:
    headers = response.headers
    if response.status_code >= 400:
        return None
    if "ETag" in headers:
        return short_hash(headers["ETag"])
    if "Last-Modified" in headers:
        return short_hash(f"{headers['Last-Modified']} {headers.get('Content-Length', '')}")
    return None
