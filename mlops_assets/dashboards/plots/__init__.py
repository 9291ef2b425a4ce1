"""Plots in Python, registered by name: what a chart with `plot` draws; a user's own are registered alike.

    from mlops_assets.dashboards.plots import plot

    @plot("days_left", "How long the champion has left.")
    def days_left(request):
        return {"data": [{"type": "bar", "y": list(request.rows["days_left"])}]}

In: the rows of a source and the choices of the page. Out: a Plotly figure or its dictionary, or `Empty` with why.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_assets.errors import SpecError
from mlops_assets.validation import complaint

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.dashboards.evidence import Evidence
    from mlops_assets.dashboards.format import View
    from mlops_assets.project import Project

Figure = dict[str, Any]
Draw = Callable[["PlotRequest"], Any]  # gives a Figure, or Plotly's own object


class Options(BaseModel):
    """What a chart may set for a plot; a plot that takes some declares a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Empty(Exception):
    """There is nothing to draw; the message says what to do."""


@dataclass(frozen=True)
class PlotRequest:
    """What a plot draws from: the rows of the chart's source that pass its filters and lie in the page's time range.

    `choice`: what was chosen in the card, of those that the plot offers. `view`: colours, unit, time zone.
    """

    rows: pd.DataFrame
    options: Any
    choice: str | None
    view: View
    project: Project
    evidence: Evidence

    @property
    def chosen(self) -> str:
        """The choice, of a plot that offers some; raises Empty where there is nothing to choose from."""
        if self.choice is None:
            raise Empty("There is nothing to choose from.")
        return self.choice


@dataclass(frozen=True)
class Plot:
    """A registered plot. `choices` gives what can be chosen in the card, the first of which is chosen at first."""

    name: str
    description: str
    draw: Draw
    options: type[Options] = Options
    choices: Callable[[PlotRequest], list[str]] | None = None


PLOTS: dict[str, Plot] = {}


def plot(
    name: str,
    description: str,
    *,
    options: type[Options] = Options,
    choices: Callable[[PlotRequest], list[str]] | None = None,
) -> Callable[[Draw], Draw]:
    """Register a function as the plot of this name; another of the same name is replaced."""

    def register(draw: Draw) -> Draw:
        PLOTS[name] = Plot(name, description, draw, options, choices)
        return draw

    return register


def read_options(plot: Plot, values: Mapping[str, Any]) -> Options:
    """Checked options; raises SpecError naming the one that is wrong."""
    try:
        return plot.options.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        names = ", ".join(plot.options.model_fields) or "none"
        raise SpecError(f"options.{place}: {complaint(first)} (options of {plot.name}: {names})") from None


def load_folder(folder: Path) -> None:
    """Run the Python files of the user's folder, which register plots; raises SpecError naming a file that fails."""
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"mlops_dashboards_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise SpecError(f"{path.name} cannot be run: it is no Python file")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise SpecError(f"{path.name} cannot be run: {type(error).__name__}: {error}") from error
