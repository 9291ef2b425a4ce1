"""Whether a dashboard can be drawn: its sources, columns and plots exist, and fit each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from mlops_assets.dashboards.chart_data import ROWS_AS_THEY_ARE, axis_of
from mlops_assets.dashboards.plots.registry import Plot, read_options
from mlops_assets.dashboards.sources.source import Source
from mlops_assets.dashboards.spec import TEXTS, Chart, Metric
from mlops_assets.errors import SpecError

NUMBERS_ONLY = {"mean", "median", "sum", "quantile"}
_NEEDS_NO_AXIS = (*TEXTS, "custom", *ROWS_AS_THEY_ARE)


def check_charts(
    file: str, charts: Mapping[str, Chart], sources: Mapping[str, Source], plots: Mapping[str, Plot]
) -> None:
    """Raise SpecError that names the file, the chart and the key of the first thing that is wrong."""
    for name, chart in charts.items():
        for key, problem in _problems(chart, sources, plots):
            raise SpecError(f"{file}.yaml: chart {name}, key {key}: {problem}")


def _problems(chart: Chart, sources: Mapping[str, Source], plots: Mapping[str, Plot]) -> Iterator[tuple[str, str]]:
    source = sources.get(chart.source)
    if source is None:
        yield "source", _unknown(chart.source, "a source", sources)
        return
    yield from _unknown_columns(chart, source)
    for metric in chart.metrics:
        yield from _unfit(metric, source)
    if chart.type not in _NEEDS_NO_AXIS and axis_of(chart, source) is None:
        yield "x", f"{source.name} has no time for the axis: name a column"
    if chart.order and chart.type != "custom":
        sortable = {*_names(source), *(metric.name for metric in chart.metrics)}
        if chart.order.removeprefix("-") not in sortable:
            yield "order", _unknown(chart.order.removeprefix("-"), "a column or metric of this chart", sortable)
    if chart.plot is not None:
        if chart.plot not in plots:
            yield "plot", _unknown(chart.plot, "a registered plot", plots)
            return
        try:
            read_options(plots[chart.plot], chart.options)
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
    column = source.column(metric.column)
    if column is None:
        return
    if metric.aggregation in NUMBERS_ONLY and column.kind != "number":
        yield "metrics", f"{metric.aggregation} needs a number, and {column.name} is a {column.kind}"
    if metric.aggregation in ("min", "max") and column.kind not in ("number", "time"):
        yield "metrics", f"{metric.aggregation} needs a number or a time, and {column.name} is a {column.kind}"
    if metric.aggregation == "share" and column.kind != "flag":
        yield "metrics", f"share needs a flag, and {column.name} is a {column.kind}"


def _names(source: Source) -> list[str]:
    return [column.name for column in source.columns if column.kind != "mapping"]


def _unknown(name: str, what: str, names: Collection[str]) -> str:
    close = get_close_matches(name, list(names), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(names)) or 'none'}"
    return f"'{name}' is not {what}: {hint}"
