"""`serve`: predictions over HTTP; `new-key`: a key for it."""

from __future__ import annotations

import os
import secrets

# A call of the model takes one thread: parallel work comes from requests and chunks side by side, which would
# otherwise fight over the cores. Read when the libraries are loaded, so set before.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def serve_predictions(host: str | None, port: int | None) -> None:
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    from mlops_assets.backend.server import serve
    from mlops_assets.project import open_project

    project = open_project()
    settings = project.settings
    serve(project, host or settings.serve_host, settings.serve_port if port is None else port)


def print_new_key() -> None:
    from mlops_assets.backend.keys import hash_of

    key = secrets.token_urlsafe(32)
    print(f"key, for the caller:      {key}")
    print(f"hash, for MLOPS_API_KEYS: {hash_of(key)}")
