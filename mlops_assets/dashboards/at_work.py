"""The line that says how far a retraining is, wherever somebody looks meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dash import Dash, Input, Output, dcc, html

from mlops_assets.addresses import dagster_run_page
from mlops_assets.dashboards.format import ago

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.resources.progress import AtWork

LOOK = 5_000  # milliseconds between two looks


def at_work_line(*, disabled: bool = False) -> list[Component]:
    """The line, empty where no retraining is at work; `disabled`: nobody looks."""
    return [dcc.Interval(id="look", interval=LOOK, disabled=disabled), html.Div(id="at-work", role="status")]


def add_at_work(app: Dash, look: Callable[[], AtWork | None], dagster: str) -> None:
    """Fill the line with what `look` finds; `dagster`: where its UI is."""

    @app.callback(Output("at-work", "children"), Input("look", "n_intervals"))
    def tell(looks: int | None) -> list[Component | str]:
        """What is at work, who started it and when, and how far it is; the first words lead to its run."""
        if (found := look()) is None:
            return []
        since = f" {ago(found.since, datetime.now(UTC))}" if found.since else ""
        began = f", started by {found.started_by}{since}: {found.text}"
        return [html.A("Retraining at work", href=dagster_run_page(dagster, found.run_id)), began]
