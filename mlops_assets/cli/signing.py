"""`new-signing-key`: a pair of keys by which a server tells its own models from others."""

from __future__ import annotations


def print_new_signing_key() -> None:
    from mlops_assets.core.model.files import new_pair

    signing, verify = new_pair()
    print(f"MLOPS_SIGNING_KEY, where models are trained, and secret: {signing}")
    print(f"MLOPS_VERIFY_KEY, wherever models are loaded:            {verify}")
