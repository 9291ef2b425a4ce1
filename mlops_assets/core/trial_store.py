"""The memory of a search on disk: every finished trial, and the best trial's estimator.

`trials.jsonl` holds a header line, which says of which search, then one line a trial.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mlops_assets.core.trials import Trial

_FORMAT = 1
_SUFFIX = ".model"


class TrialStore:
    """A folder for one search at a time.

    `fingerprint` names all that its trials depend on besides the space: training set, model type, rows, code.

    A killed search leaves at most a torn last line, which is dropped when the folder is opened again.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.elapsed = 0.0
        self._file = folder / "trials.jsonl"
        self._recorded: dict[str, Trial] = {}

    def __len__(self) -> int:
        return len(self._recorded)

    def open(self, search: Mapping[str, Any], warm_start: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Read the trials of this very search, or forget those of another; returns the warm start in force.

        A resumed search keeps the warm start it began with, for that is part of what fixes it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        about = json.loads(json.dumps({"format": _FORMAT, "fingerprint": self.fingerprint, "search": search}))
        header, *lines = self._read() or [{}]
        if header.get("about") != about:
            self.clear()
            header, lines = {"about": about, "warm_start": [dict(point) for point in warm_start]}, []
            self._append(header)
        for line in lines:
            trial = Trial(**{item.name: line[item.name] for item in fields(Trial)})
            self._recorded[_key(trial.params)] = trial
            self.elapsed = max(self.elapsed, line["elapsed"])
        return header["warm_start"]

    def recorded(self, params: Mapping[str, Any]) -> Trial | None:
        """The finished trial of these parameters, if there is one."""
        return self._recorded.get(_key(params))

    def add(self, trial: Trial, elapsed: float, estimator: bytes | None) -> None:
        """Record a trial; it is on disk when this returns. `elapsed`: seconds of the search so far.

        An estimator is written before the line that says there is one.
        """
        if estimator is not None:
            path = self._estimator_path(trial.params)
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.write(estimator)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        self._append(asdict(trial) | {"elapsed": elapsed})
        self._recorded[_key(trial.params)] = trial

    def estimator(self, params: Mapping[str, Any]) -> bytes | None:
        """The kept estimator of these parameters, as bytes."""
        path = self._estimator_path(params)
        return path.read_bytes() if path.is_file() else None

    def drop_estimators_but(self, params: Mapping[str, Any]) -> None:
        """Delete every kept estimator except the one of these parameters."""
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if path != self._estimator_path(params):
                path.unlink()

    def clear(self) -> None:
        """Forget everything."""
        self._recorded.clear()
        self.elapsed = 0.0
        self._file.unlink(missing_ok=True)
        for path in self.folder.glob(f"*{_SUFFIX}"):
            path.unlink()

    def _estimator_path(self, params: Mapping[str, Any]) -> Path:
        return self.folder / (hashlib.sha256(_key(params).encode()).hexdigest()[:16] + _SUFFIX)

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> list[dict[str, Any]]:
        """The whole lines up to the first torn one; the rest is cut off, so that lines can be added."""
        if not self._file.is_file():
            return []
        lines, end = [], 0
        data = self._file.read_bytes()
        for line in data.splitlines(keepends=True):
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
            if not line.endswith(b"\n"):
                lines.pop()
                break
            end += len(line)
        if end < len(data):
            with self._file.open("rb+") as file:
                file.truncate(end)
        return lines


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
