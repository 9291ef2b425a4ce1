"""`serve`: predictions, form and dashboards over HTTP; `new-key`: a key for it."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dash import Dash

    from mlops_assets.dashboards.samples import Sampler

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
    with ExitStack() as stack:

        def open_dashboards(sampler: Sampler) -> Dash:
            """Read what is defined and open Dagster's stores; closed when the server ends."""
            from mlops_assets.cli.catalogue import read_catalogue
            from mlops_assets.dashboards import app, context
            from mlops_assets.instance import open_instance

            catalogue = read_catalogue(project)
            instance = stack.enter_context(open_instance(project))
            return app.build_app(context.open_dashboards(project, instance, catalogue, sampler))

        serve(project, host or settings.serve_host, settings.serve_port if port is None else port, open_dashboards)


def print_new_key() -> None:
    from mlops_assets.backend.keys import hash_of

    key = secrets.token_urlsafe(32)
    print(f"key, for the caller:      {key}")
    print(f"hash, for MLOPS_API_KEYS: {hash_of(key)}")
