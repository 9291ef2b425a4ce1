"""What the processes say: lines of text, or JSON for whoever collects them."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from mlops_assets.run_tags import partitions_of

LOOK_SECONDS = 0.2  # for what a step has printed
# Of the request that is being answered; every line that is written meanwhile has it.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: `time`, `level`, `logger`, `message`, and what is known of run or request."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        line |= _of_run(getattr(record, "dagster_meta", None))
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(log_format: str) -> None:
    """Let this process write warnings of anybody, and what our own modules have to say, to standard error."""
    logging.basicConfig(level=logging.WARNING, handlers=[_handler(log_format)], force=True)
    logging.getLogger("mlops_assets").setLevel(logging.INFO)


def tell_runs_in_json() -> None:
    """Let the runs of this process, and warnings in it, print JSON."""
    import dagster as dg

    from mlops_assets.compat import set_run_logger

    @dg.logger(config_schema={})
    def json_lines(context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("dagster", logging.INFO)
        logger.addHandler(handler)
        return logger

    handler = _handler("json")
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(handler)
    set_run_logger(json_lines)


def tell_all_that_steps_print() -> None:
    """Let what Dagster captures of a step's output be printed to its last line, by a thread of this process."""
    from mlops_assets.compat import set_repeater

    set_repeater(repeating)


@contextmanager
def repeating(path: str, stream: IO[str]) -> Iterator[None]:
    """Write to a stream's file, as it is now, all that is appended to another one meanwhile."""
    try:
        to = os.dup(stream.fileno())
    except (AttributeError, OSError):  # a stream in memory: nothing of it is captured
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_repeat, args=(path, to, ended), daemon=True, name="what a step prints")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        os.close(to)


def _repeat(path: str, to: int, ended: threading.Event) -> None:
    with Path(path).open("rb", buffering=0) as captured, suppress(OSError):  # of whoever no longer listens
        is_last = False
        while not is_last:
            is_last = ended.wait(LOOK_SECONDS)
            while part := captured.read(1 << 16):
                while part:
                    part = part[os.write(to, part) :]


def _handler(log_format: str) -> logging.Handler:
    """To standard error."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    return handler


def _of_run(about: dict[str, Any] | None) -> dict[str, Any]:
    """What Dagster adds to a record of a run: its ids, and the error of an event that tells a failure."""
    if about is None:
        return {}
    event = about["dagster_event"]
    error = getattr(event.event_specific_data, "error", None) if event else None
    line = {
        "message": about["orig_message"],
        "run_id": about["run_id"],
        "job": about["job_name"],
        "asset": about["step_key"],
        "partition": partitions_of(about["job_tags"]),
        "event": event.event_type_value if event else None,
        "error": error.to_string() if error else None,
    }
    return {name: value for name, value in line.items() if value is not None}
