"""A server with people on it who mean no good: how soon others are answered, and what one small request can cost."""

from __future__ import annotations

import asyncio
import io
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.homes import Home
from benchmarks.load import drive
from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Row, Table
from benchmarks.servers import Server
from benchmarks.serving import ours
from benchmarks.serving_work import take_sample

ROUNDS, SECONDS = 5, 4.0
SENDERS, EDITORS = 12, 4
CALLS = "/dashboards/_dash-update-component"
HEAD = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
BEGINNINGS = (  # of requests that never end
    b"GET /mod",
    b"GET /model HTTP/1.1\r\nX-1: ",
    b"POST /_dash-update-component HTTP/1.1\r\n" + HEAD + b"Content-Length: 5000\r\n\r\n{",
    b"POST /predict HTTP/1.1\r\n" + HEAD + b"Content-Length: 500\r\n\r\n{",
)
ALIASES = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 8))])
HOSTILE = (ALIASES, f"a: [{'1,' * 90_000}1]", "a: " + "[" * 20_000, f"a: 1{':1' * 90_000}", f"title: {'$a' * 40_000}")
SIEGE = Figure(
    f"median latency of predictions with {SENDERS} slow senders and {EDITORS} hostile editors, beside quiet",
    "at most 1.2 times",
    "one client, in turns; senders write a byte of an unfinished request every 100 ms and come back when they are cut "
    "off, editors send texts made to keep a server busy as soon as the last one is answered",
)
PEAK = Figure(
    "peak memory of any request of 1 MB or less, above idle", "at most 300 MB", "one after the other; see the table"
)
FIGURES = (SIEGE, PEAK)


def measure(places: Places) -> Report:
    with Home.fresh() as home:
        home.run()
        rows = call(take_sample, home.env).value["rows"]
        with ours(home) as real:
            besieged = _besieged(real, rows)
        with ours(home) as real:
            peak, table = _small_requests(real, rows)
    return Report([besieged, peak], [table])


def _besieged(real: Server, rows: list[str]) -> Row:
    ask = partial(call, drive, port=real.port, path="/predict", bodies=rows, clients=1, seconds=SECONDS)
    quiet, loud, refused = [], [], 0
    ask()
    for _ in range(ROUNDS):
        quiet.append(ask().value)
        with ThreadPoolExecutor() as pool:
            siege = pool.submit(call, lay_siege, port=real.port, seconds=SECONDS + 4)
            time.sleep(2)
            loud.append(ask().value)
            refused += siege.result().value
    before, with_them = (median(run["p50_ms"] for run in runs) for runs in (quiet, loud))
    failed = sum(run["failed"] for run in loud)
    times = f"{with_them / before:.2f} times: {with_them:.2f} : {before:.2f} ms"
    text = f"{times}, {failed} failed; {refused:,} texts of editors refused"
    return SIEGE.measured(text, with_them <= 1.2 * before and not failed)


def lay_siege(port: int, seconds: float) -> int:
    """How many texts of editors were refused meanwhile."""
    return asyncio.run(_siege(port, time.monotonic() + seconds))


async def _siege(port: int, end: float) -> int:
    beginnings = cycle(BEGINNINGS)
    senders = [_send_slowly(port, next(beginnings), end) for _ in range(SENDERS)]
    editors = [asyncio.to_thread(_edit, port, place, end) for place in range(EDITORS)]
    _, refused = await asyncio.gather(asyncio.gather(*senders), asyncio.gather(*editors))
    return sum(refused)


async def _send_slowly(port: int, beginning: bytes, end: float) -> None:
    while time.monotonic() < end:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(beginning)
            while time.monotonic() < end and not writer.is_closing() and not reader.at_eof():
                writer.write(b"1")
                await asyncio.sleep(0.1)
            writer.close()


def _edit(port: int, place: int, end: float) -> int:
    refused = 0
    for text in cycle(HOSTILE[place:] + HOSTILE[:place]):
        if time.monotonic() > end:
            return refused
        body = json.dumps(_check_of_editor(text)).encode()
        status, answer = _post(port, CALLS, body, "application/json")
        refused += status != 200 or b'"disabled":true' in answer.replace(b" ", b"")
    return refused


def _check_of_editor(text: str) -> dict[str, Any]:
    """The call that Dash makes when somebody types into a board's editor."""
    outputs = [("verdict", "children"), ("preview", "children"), ("save", "disabled")]
    states = [("editor", "opened", True), ("range", "value", None), ("shade", "data", None)]
    inputs = [("yaml", "value", text), ("name", "value", "mine")]
    return {
        "output": f"..{'...'.join('.'.join(output) for output in outputs)}..",
        "outputs": [{"id": name, "property": part} for name, part in outputs],
        "inputs": [{"id": name, "property": part, "value": value} for name, part, value in inputs],
        "changedPropIds": ["yaml.value"],
        "state": [{"id": name, "property": part, "value": value} for name, part, value in states],
    }


def _post(port: int, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def _small_requests(real: Server, rows: list[str]) -> tuple[Row, Table]:
    one = json.loads(rows[0])
    _post(real.port, "/predict", rows[0].encode(), "application/json")
    idle, lines = real.memory_mb(), []
    for name, (path, kind, body) in _requests(one).items():
        if len(body) > 1e6:
            raise ValueError(f"{name} is {len(body):,} bytes")
        _forget_peak(real)
        status, _ = _post(real.port, path, body, kind)
        lines.append((name, f"{len(body):,}", str(status), f"{_peak_mb(real) - idle:.0f}"))
    most = max(float(line[-1]) for line in lines)
    return PEAK.measured(f"{most:.0f} MB", most <= 300), Table(
        "Small requests", ("request", "bytes", "status", "MB above idle"), tuple(lines)
    )


def _requests(row: dict[str, Any]) -> dict[str, tuple[str, str, bytes]]:
    """Requests of 1 MB or less by what they are: path, media type, body."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    batch, arrow, parquet = "/predict/batch", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"

    def stream(table: pa.Table) -> bytes:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return sink.getvalue()

    def file(table: pa.Table) -> bytes:
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", row_group_size=len(table))
        return sink.getvalue()

    name = next(iter(row))
    few = pa.Table.from_pylist([row] * 200)
    zeros = pa.table({name: pa.Array.from_buffers(pa.int8(), 100_000_000, [None, pa.py_buffer(bytes(100_000_000))])})
    long_text = pa.table({name: pa.array(["x" * 100_000] * 400)})
    json_type, count = "application/json", 990_000 // len(json.dumps([*row.values()]))
    columns = {name: [value] * count for name, value in row.items()}
    long_row, wide_row = row | {name: "x" * 900_000}, row | {f"c{number}": number for number in range(60_000)}
    return {
        "a row with a text of 900,000 letters": ("/predict", json_type, json.dumps(long_row).encode()),
        "a row with 60,000 unknown inputs": ("/predict", json_type, json.dumps(wide_row).encode()),
        "400,000 lists, each in another": ("/predict", json_type, b"[" * 400_000),
        "JSON: as many good rows as fit": (batch, json_type, json.dumps(columns, separators=(",", ":")).encode()),
        "Arrow: 200 good rows": (batch, arrow, stream(few)),
        "Arrow: 100 million zeros, packed": (batch, arrow, stream(zeros)),
        "Parquet: 100 million zeros": (batch, parquet, file(zeros)),
        "Parquet: a text of 100,000 letters, 400 times": (batch, parquet, file(long_text)),
    }


def _forget_peak(real: Server) -> None:
    for pid in real.pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak_mb(real: Server) -> float:
    texts = (Path(f"/proc/{pid}/status").read_text() for pid in real.pids)
    return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in texts) / 1024
