"""The dashboards of a project: their sources, files and layouts, opened once for the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_assets.dashboards.catalogue import Catalogue
from mlops_assets.dashboards.evidence import Evidence
from mlops_assets.dashboards.format import View
from mlops_assets.dashboards.grid import moved_in
from mlops_assets.dashboards.library import BoardStore, Library
from mlops_assets.dashboards.plots import contributions, data, errors, load_folder, pictures, search
from mlops_assets.dashboards.render import ChartRenderer
from mlops_assets.dashboards.sources.assets import asset_sources
from mlops_assets.dashboards.sources.automation import automation_sources
from mlops_assets.dashboards.sources.data import data_sources
from mlops_assets.dashboards.sources.mlflow import mlflow_sources
from mlops_assets.dashboards.sources.models import model_sources
from mlops_assets.dashboards.sources.runs import runs_source
from mlops_assets.dashboards.sources.serving import Sampler, serving_sources
from mlops_assets.dashboards.sources.source import Source
from mlops_assets.dashboards.spec import Chart, TimeRange
from mlops_assets.dashboards.theme import Scheme

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.project import Project
    from mlops_assets.resources.progress import AtWork

SHIPPED = (contributions, data, errors, pictures, search)  # modules that register their plots when they are imported


@dataclass(frozen=True)
class Dashboards:
    """Everything that a page needs."""

    project: Project
    library: Library
    store: BoardStore
    renderer: ChartRenderer
    at_work: Callable[[], AtWork | None]  # the retraining that is at work

    @property
    def sources(self) -> Mapping[str, Source]:
        return self.renderer.sources

    def chart(self, page: str, name: str) -> Chart | None:
        """A chart of a page; None where the page or the chart is gone."""
        current = self.library.recent_page_list().page(page)
        return current.board.charts.get(name) if current else None

    def view(self, scheme: Scheme | None, time_range: TimeRange, now: datetime) -> View:
        """How the browser looks at a page; `scheme` is None until it has told."""
        settings, unit = self.project.settings, self.project.spec.target.unit
        return View(scheme or "light", time_range, now, settings.timezone, unit, tuple(self.project.model_types))

    def keep_layout(self, page: str, layouts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Keep where charts stand, as far as that differs from the YAML."""
        current = self.library.page_list().page(page)
        if current is None:
            return
        before = self.store.layouts(page)
        for breakpoint, moved in moved_in(current.board, before, layouts).items():
            if breakpoint in layouts and moved != before.get(breakpoint, {}):
                self.store.save_layout(page, breakpoint, moved)

    def forget(self) -> None:
        """Read all stores from the beginning, so that what was deleted there is gone here."""
        for source in self.sources.values():
            if source.forget:
                source.forget()


def open_dashboards(
    project: Project, instance: dg.DagsterInstance, catalogue: Catalogue, sampler: Sampler
) -> Dashboards:
    """The dashboards of a project whose runs are in `instance`; `sampler` is that of the server that shows them.

    Raises SpecError where a Python file of the user's folder cannot be run; what is wrong with a YAML file is told on
    the pages.
    """
    from mlops_assets.resources.progress import retraining_at_work

    folder = project.settings.dashboards
    if folder:
        load_folder(folder)
    sources = _sources(project, instance, catalogue, sampler)
    store = BoardStore(project.database, project.spec.name)
    library = Library(folder, store, sources, "classes" if project.target.is_classifier else "numbers")
    evidence = Evidence(project, sources["materialisations"].read)
    renderer = ChartRenderer(sources, project, evidence)
    return Dashboards(project, library, store, renderer, partial(retraining_at_work, instance))


def _sources(
    project: Project, instance: dg.DagsterInstance, catalogue: Catalogue, sampler: Sampler
) -> dict[str, Source]:
    runs = runs_source(instance, project, catalogue)
    assets = asset_sources(instance, project, catalogue, runs.read)
    materialisations = assets[0].read
    sources = [
        runs,
        *assets,
        *automation_sources(instance, catalogue, materialisations, project.spec.redact),
        *mlflow_sources(project),
        *model_sources(project, materialisations),
        *data_sources(project, materialisations),
        *serving_sources(project, sampler),
    ]
    return {source.name: source for source in sources}
