"""Which code a process runs: two that differ in it may not give the same trial."""

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mlops_assets

_PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost", "xgboost-cpu", "distributed")


@cache
def code_identity() -> Mapping[str, str]:
    """Python's version, those of the packages that fit models, and a digest of this package's own code."""
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in _PACKAGES:
        try:
            found[name.removesuffix("-cpu")] = version(name)
        except PackageNotFoundError:  # XGBoost comes from one of two
            continue
    return found | {"mlops_assets": _digest(Path(mlops_assets.__file__).parent)}


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What they run that we do not, in words; empty where nothing differs."""
    names = [name for name in ours | theirs if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name, 'absent')} instead of {ours.get(name, 'none')}" for name in names)


def _digest(folder: Path) -> str:
    """Of the sources by relative name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
