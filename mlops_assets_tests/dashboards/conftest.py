"""Dashboards on the homes of the other tests, and the small tables that charts are made of."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from mlops_assets.cli.serve import read_catalogue
from mlops_assets.dashboards.context import Dashboards, open_dashboards
from mlops_assets.dashboards.format import View
from mlops_assets.dashboards.sources.serving import Sampler
from mlops_assets.dashboards.sources.source import Reading, Source, as_frame, columns
from mlops_assets.dashboards.spec import Chart

NOW = datetime(2024, 3, 31, 12, tzinfo=UTC)
COLUMNS = columns(
    time="time: When.",
    kind="text: Which.",
    size="number: How much.",
    good="flag: Whether.",
    more="mapping: For plots.",
)
ROWS = [
    {"time": "2024-03-01T10:00:00Z", "kind": "a", "size": 1, "good": True},
    {"time": "2024-03-01T22:00:00Z", "kind": "b", "size": 2, "good": False},
    {"time": "2024-03-02T10:00:00Z", "kind": "a", "size": 3, "good": True},
    {"time": "2024-03-30T10:00:00Z", "kind": None, "size": None, "good": False},
]


@pytest.fixture
def view() -> View:
    return View("light", "all", NOW, unit="euros")


@pytest.fixture
def make_source() -> Callable[..., Source]:
    """A function that gives the source `things` with these rows."""

    def make(rows: list[dict] = ROWS, **changes) -> Source:
        frame = as_frame(rows, COLUMNS)
        given = {"description": "Things.", "columns": COLUMNS, "read": lambda: Reading(frame), "empty": "Make things."}
        return Source(name="things", **given | changes)

    return make


@pytest.fixture
def make_chart() -> Callable[..., Chart]:
    """A function that gives a chart of `things`."""
    return lambda type="line", **given: Chart(title="Things", source="things", type=type, **given)


@pytest.fixture(scope="session")
def shop_dashboards(shop, tmp_path_factory) -> Iterator[Dashboards]:
    """The dashboards of the shop after a run, with a database of their own."""
    database = f"sqlite:///{tmp_path_factory.mktemp('dashboards') / 'own.db'}"
    project = shop.project(MLOPS_DATABASE_URL=database)
    with shop.instance() as instance:
        yield open_dashboards(project, instance, read_catalogue(project), Sampler(bytes))
