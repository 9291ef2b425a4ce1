"""Results: rows of the table, kept as JSON so that one benchmark can be measured again, and written as Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ABSENT = "data not at hand"
INTRODUCTION = """# Benchmarks

Written by `make bench`, from `docs/benchmarks.json`; `python -m benchmarks NAME` measures one benchmark again.
Each thing runs in a process of its own. CPU seconds are user + system seconds as the system counts them, memory is
the process's peak, numbers are medians, and what is compared runs in turns. "The tutorial" is its algorithm as one
plain script, without its platform. What has been reached is bold.
"""
LOAD = "The load is the average number of processes at work or waiting in the five minutes to the benchmark's end."


@dataclass(frozen=True)
class Row:
    """A line of the table. `reached` is None where nothing is to be reached."""

    what: str
    reach: str
    measured: str
    how: str
    reached: bool | None = None


@dataclass(frozen=True)
class Figure:
    """A figure to be measured; `reach` is empty where it is only told."""

    what: str
    reach: str
    how: str

    def measured(self, text: str, reached: bool | None = None) -> Row:
        return Row(self.what, self.reach, text, self.how, reached)

    def absent(self) -> Row:
        return self.measured(ABSENT)


@dataclass(frozen=True)
class Table:
    """More than fits into a row; `image` is a file beside the page."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    text: str = ""
    image: str = ""


@dataclass(frozen=True)
class Report:
    """What one benchmark found."""

    rows: Sequence[Row]
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Results:
    """All that was measured, by benchmark: the JSON file, and the page made of it."""

    file: Path
    page: Path
    order: Sequence[str]

    def add(self, name: str, report: Report) -> None:
        """Put a benchmark's report in the place of its older one."""
        about = {"day": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "load": round(os.getloadavg()[1], 1)}
        known = json.loads(self.file.read_text(encoding="utf-8")) if self.file.is_file() else {}
        known[name] = about | asdict(report)
        found = {name: known[name] for name in self.order if name in known}
        self.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        self.page.write_text(_page(found), encoding="utf-8")


def _page(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [Row(**row) for benchmark in found.values() for row in benchmark["rows"]]
    tables = [Table(**table) for benchmark in found.values() for table in benchmark["tables"]]
    when = [(name, benchmark["day"], benchmark["load"]) for name, benchmark in found.items()]
    machines = dict.fromkeys(benchmark["machine"] for benchmark in found.values())
    parts = [INTRODUCTION, *(f"Machine: {text}.\n" for text in machines)]
    lines = [(row.what, row.reach, _verdict(row), row.how) for row in rows]
    parts.append(_markdown(("what", "reach", "measured", "how"), lines))
    for table in tables:
        parts.append(f"## {table.title}\n")
        parts += [f"{table.text}\n"] if table.text else []
        parts.append(_markdown(table.header, table.lines))
        parts += [f"![{table.title}]({table.image})\n"] if table.image else []
    parts.append(f"## When\n\n{LOAD}\n")
    parts.append(_markdown(("benchmark", "day", "load"), when))
    return "\n".join(parts)


def machine() -> str:
    """Cores, memory, system and versions; neither names nor paths of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = [f"{os.cpu_count()} cores", f"{memory:.0f} GB", f"{platform.system()} {platform.machine()}"]
    parts.append(f"Python {platform.python_version()}")
    for names in (("dagster",), ("mlflow",), ("scikit-learn",), ("xgboost-cpu", "xgboost"), ("pandas",), ("pyarrow",)):
        parts += [f"{name} {version(name)}" for name in names if is_installed(name)][:1]
    return ", ".join(parts)


def one_in(share: float) -> str:
    """A share such as 0.05 as 1/20."""
    return f"1/{1 / share:.0f}"


def is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _verdict(row: Row) -> str:
    return row.measured if row.reached is None else f"**{row.measured}**" if row.reached else f"{row.measured} (missed)"


def _markdown(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(str(cell) for cell in row)} |\n" for row in rows)
