"""All dashboards there are: files that ship, the user's own above them, and edits and layouts made in the browser.

Edits and layouts are rows of the project's own tables; a file that is wrong takes away its own pages only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from time import monotonic

import sqlalchemy as sa

from mlops_assets.dashboards.boards import BoardFile, Page, parse, read_files
from mlops_assets.dashboards.chart_data import ROWS_AS_THEY_ARE
from mlops_assets.dashboards.plots import PLOTS, read_options
from mlops_assets.dashboards.sources.source import Source
from mlops_assets.dashboards.spec import TEXTS, Chart, Metric
from mlops_assets.errors import SpecError
from mlops_assets.resources.databases.database import Database, put
from mlops_assets.resources.databases.schema import DASHBOARD_EDITS, DASHBOARD_LAYOUTS

_EDIT, _LAYOUT = DASHBOARD_EDITS.c, DASHBOARD_LAYOUTS.c
KINDS_NEEDED: dict[str, tuple[str, ...]] = dict.fromkeys(("mean", "median", "sum", "quantile"), ("number",))
KINDS_NEEDED |= {"min": ("number", "time"), "max": ("number", "time"), "share": ("flag",)}
_NEEDS_NO_AXIS = (*TEXTS, "custom", *ROWS_AS_THEY_ARE)
LAST_SECONDS = 5.0  # for which a list of pages serves the charts of a page


@dataclass(frozen=True)
class Place:
    """Where a chart stands in the grid, and how large it is, in cells."""

    x: int
    y: int
    w: int
    h: int


Places = dict[str, Place]  # by chart


class BoardStore:
    """The edits and layouts of one dataset's dashboards. All methods raise StorageError."""

    def __init__(self, database: Database, dataset: str) -> None:
        self._database, self._dataset = database, dataset

    def edits(self) -> dict[str, BoardFile]:
        """Edited files by name."""
        query = sa.select(_EDIT.name, _EDIT.text).where(_EDIT.dataset == self._dataset)
        with self._database.transaction() as connection:
            return {row.name: BoardFile(row.name, row.text) for row in connection.execute(query)}

    def save_edit(self, file: BoardFile) -> None:
        row = {"dataset": self._dataset, "name": file.name, "text": file.text, "at": datetime.now(UTC)}
        with self._database.transaction() as connection:
            put(connection, DASHBOARD_EDITS, row)

    def forget_edit(self, name: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(DASHBOARD_EDITS.delete().where((_EDIT.dataset == self._dataset) & (_EDIT.name == name)))

    def layouts(self, page: str) -> dict[str, Places]:
        """Moved charts of a page, by breakpoint; charts that were not moved are absent."""
        query = sa.select(_LAYOUT.breakpoint, _LAYOUT.places).where(self._page(page))
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return {row.breakpoint: {chart: Place(**place) for chart, place in row.places.items()} for row in rows}

    def save_layout(self, page: str, breakpoint: str, moved: Mapping[str, Place]) -> None:
        """Keep where charts were moved; without any, the layout is that of the file again."""
        places = {chart: vars(place) for chart, place in moved.items()}
        row = {"dataset": self._dataset, "page": page, "breakpoint": breakpoint, "places": places}
        with self._database.transaction() as connection:
            if places:
                put(connection, DASHBOARD_LAYOUTS, row)
            else:
                old = self._page(page) & (_LAYOUT.breakpoint == breakpoint)
                connection.execute(DASHBOARD_LAYOUTS.delete().where(old))

    def forget_layout(self, page: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(DASHBOARD_LAYOUTS.delete().where(self._page(page)))

    def _page(self, page: str) -> sa.ColumnElement[bool]:
        return (_LAYOUT.dataset == self._dataset) & (_LAYOUT.page == page)


@dataclass(frozen=True)
class PageList:
    """The pages in their order, and what is wrong with the files that give none, by file name."""

    pages: tuple[Page, ...]
    problems: Mapping[str, str]

    def page(self, slug: str | None) -> Page | None:
        """The page at an address; the first one where none is named."""
        if slug is None:
            return self.pages[0] if self.pages else None
        return next((page for page in self.pages if page.slug == slug), None)


class Library:
    """Reads files and edits at every look, so that what was changed shows at once."""

    def __init__(
        self, folder: Path | None, store: BoardStore, sources: Mapping[str, Source], predicts: str = "numbers"
    ) -> None:
        self._folder, self._store, self._sources, self._predicts = folder, store, sources, predicts
        self.check = lru_cache(maxsize=200)(self._check)
        self._last: tuple[float, PageList | None] = (0.0, None)

    def page_list(self) -> PageList:
        """Every page that can be drawn. A file that is wrong loses its own pages, and no others; a wrong edit is
        passed over for the file that it stands for.
        """
        pages: dict[str, Page] = {}
        problems = {}
        files, edits = read_files(self._folder), self._store.edits()
        for name in files | edits:
            for file in (versions[name] for versions in (edits, files) if name in versions):
                try:
                    new = self.check(file)
                    _require_free(new, pages)
                except SpecError as error:
                    problems[name] = str(error)
                    continue
                pages |= {page.slug: page for page in new}
                break
        shown = [page for page in pages.values() if page.board.predicts in (None, self._predicts)]
        ordered = sorted(shown, key=lambda page: page.board.position)
        page_list = PageList(tuple(ordered), problems)
        self._last = monotonic(), page_list
        return page_list

    def recent_page_list(self) -> PageList:
        """The list as it was read a moment ago: the charts of a page need not read it one by one."""
        read_at, page_list = self._last
        return page_list if page_list and monotonic() - read_at < LAST_SECONDS else self.page_list()

    def file(self, name: str) -> BoardFile | None:
        """A file as it is now, edits included."""
        return (read_files(self._folder) | self._store.edits()).get(name)

    def is_edited(self, name: str) -> bool:
        return name in self._store.edits()

    def is_own(self, name: str) -> bool:
        """It was made in the browser: there is no file that it could go back to."""
        return name not in read_files(self._folder)

    def save(self, file: BoardFile) -> tuple[Page, ...]:
        """Keep an edited file, if it is right; raises SpecError."""
        pages = self.check(file)
        _require_free(pages, {page.slug for page in self.page_list().pages if page.file != file.name})
        self._store.save_edit(file)
        return pages

    def reset(self, name: str) -> None:
        """Forget the edit: the file holds again; one made in the browser is gone."""
        self._store.forget_edit(name)

    def _check(self, file: BoardFile) -> tuple[Page, ...]:
        """The pages of a file; raises SpecError."""
        pages = parse(file)
        for page in pages:
            for name, chart in page.board.charts.items():
                for key, problem in _problems(chart, self._sources):
                    raise SpecError(f"{file.name}.yaml: chart {name}, key {key}: {problem}")
        return pages


def _require_free(pages: tuple[Page, ...], taken: Collection[str]) -> None:
    for page in pages:
        if page.slug in taken:
            raise SpecError(f"{page.file}.yaml: there is a page named '{page.slug}' already")


def _problems(chart: Chart, sources: Mapping[str, Source]) -> Iterator[tuple[str, str]]:
    """What of a chart does not exist or does not fit its source, with its key."""
    source = sources.get(chart.source)
    if source is None:
        yield "source", _unknown(chart.source, "a source", sources)
        return
    yield from _unknown_columns(chart, source)
    for metric in chart.metrics:
        yield from _unfit(metric, source)
    if chart.type not in _NEEDS_NO_AXIS and source.column(chart.x or source.time) is None:
        yield "x", f"{source.name} has no time for the axis: name a column"
    if chart.order and chart.type != "custom":
        sortable = {*_names(source), *(metric.name for metric in chart.metrics)}
        if chart.order.removeprefix("-") not in sortable:
            yield "order", _unknown(chart.order.removeprefix("-"), "a column or metric of this chart", sortable)
    if chart.plot is not None:
        if chart.plot not in PLOTS:
            yield "plot", _unknown(chart.plot, "a registered plot", PLOTS)
            return
        try:
            read_options(PLOTS[chart.plot], chart.options)
        except SpecError as error:
            yield "options", str(error)


def _unknown_columns(chart: Chart, source: Source) -> Iterator[tuple[str, str]]:
    used = [("x", chart.x), *(("group_by", name) for name in chart.group_by)]
    used += [("filters", name) for name in chart.filters]
    used += [("columns", name) for name in chart.columns]
    used += [("metrics", metric.column) for metric in chart.metrics]
    for key, name in used:
        if name is not None and name not in _names(source):
            yield key, _unknown(name, f"a column of {source.name}", _names(source))


def _unfit(metric: Metric, source: Source) -> Iterator[tuple[str, str]]:
    column, kinds = source.column(metric.column), KINDS_NEEDED.get(metric.aggregation)
    if column and kinds and column.kind not in kinds:
        needed = " or ".join(f"a {kind}" for kind in kinds)
        yield "metrics", f"{metric.aggregation} needs {needed}, and {column.name} is a {column.kind}"


def _names(source: Source) -> list[str]:
    return [column.name for column in source.columns if column.kind != "mapping"]


def _unknown(name: str, what: str, names: Collection[str]) -> str:
    close = get_close_matches(name, list(names), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(names)) or 'none'}"
    return f"'{name}' is not {what}: {hint}"
