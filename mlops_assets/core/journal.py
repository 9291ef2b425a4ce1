"""A journal on disk: what was found out under which key, line by line, so that work goes on where it was stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """JSON lines in a file of its own. A kill leaves at most a torn last line, which is cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        for line in self._whole_lines():
            self._known[line["key"]] = line["value"]

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Any:
        """What was noted, or None."""
        return self._known.get(key)

    def note(self, key: str, value: Any) -> Any:
        """Keep a JSON value other than None; it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "value": value}, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._known[key] = value
        return value

    def _whole_lines(self) -> list[dict[str, Any]]:
        if not self._path.is_file():
            return []
        data = self._path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            with self._path.open("rb+") as file:
                file.truncate(end)
        return [json.loads(line) for line in data[:end].splitlines()]
