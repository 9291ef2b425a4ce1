"""What a benchmark may need from outside the project, and whether it is at hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"green_tripdata_(\d{4}-\d{2})\.parquet")


@dataclass(frozen=True)
class Places:
    """`data`: folder of monthly taxi files, `months` those in it; `baseline`: the tutorial's script, None if absent."""

    data: Path
    months: tuple[str, ...]
    baseline: Path | None
    fresh_environment: bool

    @classmethod
    def find(cls, data: Path, baseline: Path, fresh_environment: bool) -> Places:
        data, baseline = data.resolve(), baseline.resolve()
        found = (_FILE.fullmatch(path.name) for path in data.iterdir()) if data.is_dir() else ()
        months = tuple(sorted(match.group(1) for match in found if match))
        return cls(data, months, baseline if baseline.is_file() else None, fresh_environment)

    def has(self, *months: str) -> bool:
        return set(months) <= set(self.months)

    @property
    def source_uri(self) -> str:
        """What MLOPS_SOURCE_URI would be."""
        return str(self.data / "green_tripdata_{period}.parquet")

    def file(self, month: str) -> str:
        return self.source_uri.replace("{period}", month)
