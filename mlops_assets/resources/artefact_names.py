"""How artefacts are named: by folder, name and the first digits of the SHA-256 of their content."""

import hashlib
import re
from pathlib import Path

from mlops_assets.errors import StorageError

DIGITS = 12
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


def check_digest(path: str, digest: str) -> None:
    """Raises StorageError where content with this digest is not what the path names."""
    if digest[:DIGITS] != path.removesuffix(".parquet").rpartition("-")[2]:
        raise StorageError(f"{path} is damaged: materialise the asset that makes it again")


def check_path(path: str) -> str:
    """The same path; raises StorageError where it could lead out of the root, or is no good name for a file."""
    for part in path.split("/"):
        if not _PART.fullmatch(part):
            raise StorageError(f"'{part}' cannot be part of an artefact's path: use letters, digits and . _ = + -")
    return path


def artefact_pattern(name: str) -> re.Pattern:
    """What the artefacts of a name are called, without their folder."""
    return re.compile(re.escape(check_path(name)) + rf"-[0-9a-f]{{{DIGITS}}}(\.parquet)?")


def folder_digest(folder: Path) -> str:
    """SHA-256 over the relative names, sizes and bytes of all files."""
    digest = hashlib.sha256()
    for file in sorted(item for item in folder.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(bytes.fromhex(file_digest(file)))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
