"""The editor at work: it opens, checks and previews what is written, saves it, or goes back to the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from time import monotonic, sleep, thread_time

from dash import Dash, Input, NoUpdate, Output, State, ctx, no_update

from mlops_assets.dashboards.boards import BoardFile, Page
from mlops_assets.dashboards.context import Dashboards
from mlops_assets.dashboards.editor import NEW, preview, verdict, wrong
from mlops_assets.dashboards.pages import address_of
from mlops_assets.dashboards.spec import TimeRange
from mlops_assets.dashboards.theme import Scheme
from mlops_assets.errors import SpecError

SHARE = 0.2  # of one core's time, at most, that all editors together may take
LEAST_PAUSE = 0.05  # seconds


class Pace:
    """One check at a time, each after a pause that the one before has earned.

    Predictions are answered in this process too, and editors may ask as often as they like.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._pause_of_a_second = 1 / share - 1
        self._lock, self._free_at = Lock(), 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._lock:
            sleep(max(0.0, self._free_at - monotonic()))
            began = thread_time()
            try:
                yield
            finally:
                took = thread_time() - began
                self._free_at = monotonic() + max(LEAST_PAUSE, took * self._pause_of_a_second)


def add_callbacks(app: Dash, dashboards: Dashboards) -> None:
    library, pace = dashboards.library, Pace()

    @app.callback(
        Output("editor", "opened"),
        Output("name", "value"),
        Output("name", "disabled"),
        Output("yaml", "value"),
        Output("reset", "children"),
        Output("reset", "disabled"),
        Input("edit", "n_clicks"),
        Input("new", "n_clicks"),
        State("page", "data"),
        prevent_initial_call=True,
    )
    def open_editor(edits: int | None, news: int | None, slug: str | None):
        page = library.page_list().page(slug) if slug else None
        file = library.file(page.file) if page else None
        if ctx.triggered_id == "new" or file is None:
            return True, "my-dashboard", False, NEW, "Back to the file", True
        way_back = "Delete" if library.is_own(file.name) else "Back to the file"
        return True, file.name, True, file.text, way_back, not library.is_edited(file.name)

    @app.callback(
        Output("verdict", "children"),
        Output("preview", "children"),
        Output("save", "disabled"),
        Input("yaml", "value"),
        Input("name", "value"),
        State("editor", "opened"),
        State("range", "value"),
        State("shade", "data"),
        prevent_initial_call=True,
    )
    def check(text: str | None, name: str | None, opened: bool, time_range: TimeRange | None, scheme: Scheme | None):
        if not opened:
            return no_update, no_update, no_update
        with pace.turn():
            try:
                pages = library.check(BoardFile(name or "", text or ""))
            except SpecError as error:
                return wrong(str(error)), no_update, True
            board = pages[0].board
            view = dashboards.view(scheme, time_range or board.time_range, datetime.now(UTC))
            charts = {name: dashboards.renderer.render(chart, view) for name, chart in board.charts.items()}
        return verdict(pages), preview(pages[0], charts), False

    @app.callback(
        Output("editor", "opened", allow_duplicate=True),
        Output("revision", "data", allow_duplicate=True),
        Output("address", "search"),
        Output("verdict", "children", allow_duplicate=True),
        Input("save", "n_clicks"),
        Input("reset", "n_clicks"),
        State("name", "value"),
        State("yaml", "value"),
        State("page", "data"),
        State("revision", "data"),
        prevent_initial_call=True,
    )
    def finish(saves: int | None, resets: int | None, name: str, text: str, slug: str | None, revision: int):
        if ctx.triggered_id == "reset":
            library.reset(name)
            return False, revision + 1, _stay_or_leave(library.page_list().page(slug)), ""
        try:
            with pace.turn():
                saved = library.save(BoardFile(name, text))
        except SpecError as error:
            return True, no_update, no_update, wrong(str(error))
        here = any(page.slug == slug for page in saved)
        return False, revision + 1, no_update if here else address_of(saved[0].slug), ""


def _stay_or_leave(page: Page | None) -> NoUpdate | str:
    """A page that was deleted is left for the first one."""
    return no_update if page else ""
