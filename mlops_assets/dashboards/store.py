"""What was changed in the browser: edited dashboards and moved charts, in the project's own database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from mlops_assets.dashboards.boards import BoardFile
from mlops_assets.resources.database import Database, put
from mlops_assets.resources.tables import DASHBOARD_EDITS, DASHBOARD_LAYOUTS

_EDIT, _LAYOUT = DASHBOARD_EDITS.c, DASHBOARD_LAYOUTS.c


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
            connection.execute(DASHBOARD_EDITS.delete().where(self._edit(name)))

    def layouts(self, page: str) -> dict[str, Places]:
        """Moved charts of a page, by breakpoint; charts that were not moved are absent."""
        query = sa.select(_LAYOUT.breakpoint, _LAYOUT.places).where(self._page(page))
        with self._database.transaction() as connection:
            found = connection.execute(query).all()
        return {row.breakpoint: {chart: Place(**place) for chart, place in row.places.items()} for row in found}

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

    def _edit(self, name: str) -> sa.ColumnElement[bool]:
        return (_EDIT.dataset == self._dataset) & (_EDIT.name == name)

    def _page(self, page: str) -> sa.ColumnElement[bool]:
        return (_LAYOUT.dataset == self._dataset) & (_LAYOUT.page == page)
