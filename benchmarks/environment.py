"""How much room the installation takes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.measuring import ROOT, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report, is_installed

NEEDED = ("pyproject.toml", "constraints.txt", "scripts", "mlops_assets")
TEST_EXTRA = "pytest"


def measure(places: Places) -> Report:
    if places.fresh_environment:
        with tempfile.TemporaryDirectory() as folder:
            seconds, size, packages = _install(Path(folder))
        return _report(size, packages, f"a fresh installation by `make run`, in {seconds:.0f} s")
    size, packages = _size(Path(sys.prefix)), len(list(distributions()))
    extras = "with" if is_installed(TEST_EXTRA) else "without"
    return _report(size, packages, f"the environment at hand, {extras} the test extras")


def _report(size: float, packages: int, what: str) -> Report:
    figure = Figure("size of `.venv`", "1.2 GB or less (the tutorial's is 2.1)", f"room on disk of {what}")
    return Report([figure.measured(f"{size / 1e9:.2f} GB, {packages} packages", size <= 1.2e9)])


def _install(folder: Path) -> tuple[float, int, int]:
    """Seconds, bytes and packages of an installation into `folder`."""
    for name in NEEDED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    ran = run(["sh", "scripts/install.sh", "", sys.executable], cwd=folder)
    venv = folder / ".venv"
    listed = run([venv / "bin/uv", "pip", "list", "--python", venv / "bin/python", "--format", "freeze"])
    return ran.usage.wall, _size(venv), len(listed.output.splitlines())


def _size(folder: Path) -> int:
    """Bytes on disk, a file with several names counted once."""
    seen = {}
    for place, _, names in os.walk(folder):
        for status in (os.lstat(Path(place, name)) for name in names):
            seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())
