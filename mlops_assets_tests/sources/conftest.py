"""Parts that the tests of sources share: specs, and a web server that follows a script."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.sources import Source, open_source

COLUMNS = {
    "at": {"from": "Picked Up", "type": "time"},
    "zone": {"from": "ZoneID", "type": "integer"},
    "miles": {"from": "Trip-Miles", "type": "number"},
    "kind": {"type": "text"},
}
CSV = "Picked Up,ZoneID,Trip-Miles,kind,unused\n2024-01-05 10:00:00,3,1.5,a,x\n2024-02-06 11:00:00,4,2.5,b,y\n"


@pytest.fixture
def make_spec(tmp_path) -> Callable[..., DatasetSpec]:
    """Builds a spec from its parts; `${NAME}` is looked up in `env`."""

    def make(source: dict, *, columns: dict = COLUMNS, env: dict | None = None, time: dict | None = None):
        document = {
            "name": "trips",
            "source": source,
            "columns": columns,
            "target": {"column": next(a for a, c in columns.items() if c.get("type", "number") == "number")},
            "features": {"categorical": [next(a for a, c in columns.items() if c.get("type") in ("integer", "text"))]},
        }
        if time != {}:
            document["time"] = time or {"column": "at", "first": "2024-01"}
        path = tmp_path / "trips.yaml"
        path.write_text(yaml.safe_dump(document))
        return load_dataset(str(path), env or {})

    return make


@pytest.fixture
def trips() -> str:
    """A CSV file of those columns and one more, with a row in January and one in February 2024."""
    return CSV


@pytest.fixture
def waits() -> list[float]:
    """The waits between tries, which tests do not wait for."""
    return []


@pytest.fixture
def open_rows(tmp_path, waits) -> Callable[..., Source]:
    """Opens a source whose today lies in March 2024."""
    return partial(
        open_source,
        cache=tmp_path / "cache",
        timeout=5,
        retries=2,
        now=lambda: datetime(2024, 3, 15),
        wait=waits.append,
    )


@dataclass
class Reply:
    """What the server says to one request; `body` is cut after `sent` bytes, and `hangs` says nothing."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    hangs: bool = False


class Web:
    """A web server of scripted replies by method and path; the last reply of a list is repeated."""

    def __init__(self):
        self.replies: dict[tuple[str, str], list[Reply]] = {}
        self.seen: list[tuple[str, str]] = []
        self.end = threading.Event()
        self.lock = threading.Lock()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                web.answer(self)

            def do_GET(self):
                web.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def serve(self, path: str, *replies: dict, method: str | None = None) -> None:
        """Answer with these replies, each given by the fields of `Reply`."""
        for each in [method] if method else ["HEAD", "GET"]:
            self.replies[each, path] = [Reply(**reply) for reply in replies]

    def count(self, method: str) -> int:
        return sum(seen == method for seen, _ in self.seen)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.seen.append((handler.command, handler.path))
            script = self.replies.get((handler.command, handler.path), [Reply(404)])
            reply = script.pop(0) if len(script) > 1 else script[0]
        if reply.hangs:
            self.end.wait()
            return
        handler.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(reply.body[: reply.sent])

    def stop(self) -> None:
        self.end.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def taxi_folder() -> Path:
    """Folder of the published green taxi files, where somebody put them beside the checkout."""
    for folder in Path(__file__).resolve().parents:
        for found in (folder / "shared" / "data", folder / "data"):
            if any(found.glob("green_tripdata_*.parquet")):
                return found
    pytest.skip("no green_tripdata_*.parquet in a folder data or shared/data above the tests")
