"""`launch`: a prediction, a retraining or a search as a run of the Dagster that is served somewhere."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from mlops_assets.cli.terminal import print_json
from mlops_assets.errors import InputError
from mlops_assets.resources.dagster_client import LaunchClient, Run
from mlops_assets.run_tags import RETRAIN, launched_by, tags_of
from mlops_assets.settings import read_settings

_TOLD = ("trials", "reason")
_ANSWERED = "requested_predictions"
_OPTIONS = {"predict": ("rows", "file", "version"), "tune": ("model_type",), "retrain": ()}


@dataclass(frozen=True)
class Request:
    """What is asked for: `what` is `predict`, `retrain` or `tune`, and the rest is for one of these alone."""

    what: str
    rows: str | None = None
    file: str | None = None
    version: int = 0
    model_type: str | None = None

    def run_config(self) -> dict[str, Any]:
        if self.what != "predict":
            return {}
        named = {"rows": _rows(self.rows)} if self.rows is not None else {"file": self.file}
        return {"ops": {"answer": {"config": named | {"version": self.version}}}}

    def tags(self) -> dict[str, str]:
        return launched_by("api") | tags_of(self.model_type, self.model_type)

    def check(self) -> None:
        """Raises InputError where options are missing, or are for something else."""
        named = [name for name in ("rows", "file", "version", "model_type") if getattr(self, name)]
        for name in named:
            if name not in _OPTIONS[self.what]:
                raise InputError(f"--{name.replace('_', '-')} is not for launch {self.what}")
        if self.what == "predict" and (self.rows is None) == (self.file is None):
            raise InputError("launch predict needs either --rows or --file")
        if self.what == "tune" and not self.model_type:
            raise InputError("launch tune needs --model-type, such as XGBoost")


def launch_run(request: Request, url: str | None, *, wait: bool, as_json: bool = False) -> int:
    """Launch, and with `wait` stay until the end: 0, or 1 where the run did not succeed. Raises LaunchError.

    As JSON: the run, with what it has made, or why it failed, where it was waited for.
    """
    request.check()
    settings = read_settings()
    client = LaunchClient(url or settings.launch_url)
    run_id = client.launch(request.what, request.run_config(), request.tags())
    link = LaunchClient(url or settings.dagster_url).run_url(run_id)
    answer: dict[str, Any] = {"job": request.what, "run_id": run_id, "url": link, "status": "launched"}
    if wait or not as_json:
        print(f"launched: {link}", file=sys.stderr if wait else sys.stdout)
    if wait:
        run = _wait(client, run_id, tells=request.what == RETRAIN)
        answer |= {"status": run.status.lower()}
        answer |= {"made": run.metadata} if run.succeeded else {"reason": client.failure(run_id)}
        if not run.succeeded:
            print(f"{request.what} ended with {answer['status']}: {answer['reason']}", file=sys.stderr)
        elif not as_json:
            _show(run)
    if as_json:
        print_json(answer)
    return 0 if answer["status"] in ("launched", "success") else 1


def _wait(client: LaunchClient, run_id: str, *, tells: bool) -> Run:
    """The run once it has ended; of a retraining, how far it is: a line that moves, or one for each change."""
    if not tells:
        return client.wait(run_id)
    console = Console(stderr=True)
    with console.status("waiting for Dagster to start it") as status:

        def look() -> None:
            if status.status != (text := client.progress(run_id)):
                status.update(text)
                if not console.is_terminal:
                    console.print(text, markup=False, highlight=False, soft_wrap=True)

        return client.wait(run_id, look=look)


def _show(run: Run) -> None:
    """Answers as JSON lines; of other assets how good they are, and why they were made."""
    if answered := run.metadata.get(_ANSWERED):
        for answer in answered["answers"]:
            print(json.dumps(answer))
        if left := answered["dagster/row_count"] - len(answered["answers"]):
            print(f"and {left} more: {answered['read_back']}", file=sys.stderr)
        return
    print(f"{run.job_name} succeeded")
    for asset, metadata in run.metadata.items():
        scores = [name for name in metadata if name == f"validation_{metadata.get('metric')}"]
        print(f"{asset}: {', '.join(f'{name} {metadata[name]}' for name in [*scores, *_TOLD] if name in metadata)}")


def _rows(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise InputError(f"--rows is not JSON: {error}") from None
    rows = document if isinstance(document, list) else [document]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError("--rows must be an object, or a list of objects, one a row")
    return rows
