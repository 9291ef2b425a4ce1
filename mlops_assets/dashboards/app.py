"""The Dash application of the dashboards."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from logging import getLogger

from dash import Dash, set_props

from mlops_assets.dashboards import callbacks, callbacks_editor
from mlops_assets.dashboards.cards import message
from mlops_assets.dashboards.context import Dashboards
from mlops_assets.dashboards.pages import frame
from mlops_assets.dashboards.style import CSS
from mlops_assets.dashboards.theme import DASHBOARDS, new_app
from mlops_assets.errors import MlopsError

log = getLogger(__name__)


def build_app(dashboards: Dashboards) -> Dash:
    app = new_app("Dashboards", DASHBOARDS, css=CSS, on_error=_reporter(dashboards.project.spec.redact))
    app.config.suppress_callback_exceptions = True  # charts are parts of pages that come later
    app.layout = lambda: frame(dashboards.sources)
    callbacks.add_callbacks(app, dashboards)
    callbacks_editor.add_callbacks(app, dashboards)
    return app


def _reporter(redact: Callable[[str], str]) -> Callable[[Exception], None]:
    """What is shown above the charts where a callback fails; what nobody expected goes to the log."""

    def report(error: Exception) -> None:
        told = str(error)
        if not isinstance(error, MlopsError):
            log.error("a callback failed:\n%s", redact("".join(traceback.format_exception(error))))
            told = f"This did not work ({type(error).__name__}); the server's log says more."
        set_props("notice", {"children": message(redact(told), is_error=True)})

    return report
