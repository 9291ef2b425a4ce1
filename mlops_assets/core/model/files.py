"""The files of a saved model: what is in the folder is told apart from what is not, before any of them is read.

`model.json` holds the digest of every other file; `model.sig`, where there is one, is an Ed25519 signature of
`model.json` and so of all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ABOUT = "model.json"
SIGNATURE = "model.sig"
LARGEST_ABOUT = 64_000_000  # bytes: it holds the categories of all inputs
_PURPOSE = b"mlops-assets model\n"  # so that a signature is of a model and of nothing else


def digest(path: Path) -> str:
    """SHA-256 of a file, read part by part."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """The digests of all files in a folder, by name."""
    return {path.name: digest(path) for path in sorted(folder.iterdir())}


def read_about(folder: Path, verify_keys: Sequence[str] = ()) -> bytes:
    """`model.json` as it stands; with keys, one of them must have signed it.

    Raises ModelError where nobody has, OSError where the file is not there.
    """
    path = folder / ABOUT
    if not path.is_file() or path.stat().st_size > LARGEST_ABOUT:
        raise ModelError(f"the saved model is damaged: it has no {ABOUT}, or a huge one")
    text = path.read_bytes()
    if verify_keys:
        _verify(folder / SIGNATURE, text, verify_keys)
    return text


def check_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise ModelError where a file is missing, not what was written, or was put there by somebody else."""
    present = {path.name: path for path in folder.iterdir() if path.name not in (ABOUT, SIGNATURE)}
    if missing := sorted(expected.keys() - present.keys()):
        raise ModelError(f"the saved model is damaged: {', '.join(missing)} is not there")
    if foreign := sorted(present.keys() - expected.keys()):
        raise ModelError(f"the saved model holds what was not saved with it: {', '.join(foreign)}")
    for name, path in present.items():
        if not path.is_file() or not hmac.compare_digest(digest(path), str(expected[name])):
            raise ModelError(f"the saved model is damaged: {name} is not what was written")


def sign(folder: Path, signing_key: str) -> None:
    """Write the signature of a saved model."""
    signature = _private(signing_key).sign(_PURPOSE + (folder / ABOUT).read_bytes())
    (folder / SIGNATURE).write_text(base64.b64encode(signature).decode() + "\n", encoding="ascii")


def new_pair() -> tuple[str, str]:
    """A new signing key, and the key that verifies what it has signed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    keys = private.private_bytes_raw(), private.public_key().public_bytes_raw()
    signing, verify = (base64.b64encode(key).decode() for key in keys)
    return signing, verify


def _verify(path: Path, text: bytes, keys: Sequence[str]) -> None:
    from cryptography.exceptions import InvalidSignature

    known = [_public(key) for key in keys]
    try:
        if path.stat().st_size > 1_000:
            raise ValueError("it is too long")
        signature = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        raise ModelError(
            "the saved model is not signed, and MLOPS_VERIFY_KEY asks for that: train it again with MLOPS_SIGNING_KEY"
        ) from None
    except (OSError, ValueError):
        raise ModelError("the saved model's signature is damaged") from None
    for key in known:
        try:
            key.verify(signature, _PURPOSE + text)
        except InvalidSignature:
            continue
        return
    raise ModelError(
        "the saved model is not signed by a key of MLOPS_VERIFY_KEY: it was altered, or comes from elsewhere"
    )


def _private(key: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key))


def _public(key: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
