"""The form at `/`: what the champion can be asked, as a page made from its signature.

In: the champion, and what somebody fills in or a link says. Out: a page with fields, answers side by side, links.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dash_mantine_components import MantineProvider
from fastapi import FastAPI

from mlops_assets.dashboards.at_work import add_at_work
from mlops_assets.dashboards.mount import mount
from mlops_assets.dashboards.theme import new_app, opened_search
from mlops_assets.project import Project
from mlops_assets.serving.form.ask import Versions
from mlops_assets.serving.form.callbacks import Form, add_callbacks, report
from mlops_assets.serving.form.page import CSS, page
from mlops_assets.serving.form.values import parse_query
from mlops_assets.serving.predict import Predict

if TYPE_CHECKING:
    from mlops_assets.resources.progress import AtWork

PREFIX = "/"


def mount_form(
    api: FastAPI, project: Project, predict: Predict, has_keys: bool, at_work: Callable[[], AtWork | None]
) -> None:
    """Serve the form beside the API's routes, which come first. Where the API asks for keys, so does the form: its
    requests pass the same middleware. `at_work` gives the retraining that may lead to the first champion.
    """
    predictor = predict.predictor
    app = new_app("Predict", PREFIX, css=CSS, on_error=partial(report, redact=project.spec.redact))

    def layout() -> MantineProvider:
        """With the fields of the link that the browser has opened."""
        return page(project.spec, predictor.loaded, predictor.problem, parse_query(opened_search()))

    app.layout = layout
    add_at_work(app, at_work, project.settings.dagster_url)
    add_callbacks(app, Form(predict, Versions(project.registry, predictor), has_keys))
    mount(api, lambda: app, PREFIX)
