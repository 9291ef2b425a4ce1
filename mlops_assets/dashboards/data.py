"""What one chart draws, as a table: the same that its CSV holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.dashboards.aggregate import aggregate, cut, label, ordered, select, series_keys, since
from mlops_assets.dashboards.look import View
from mlops_assets.dashboards.sources import Source
from mlops_assets.dashboards.spec import Chart

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 3_000  # of a scatter
MOST_SERIES = 12
ROWS_AS_THEY_ARE = ("histogram", "box", "scatter")


@dataclass(frozen=True)
class ChartData:
    """`frame` is what is drawn; `x` its horizontal column, `series` that of the colours, `values` those of metrics."""

    frame: pd.DataFrame
    x: str | None = None
    series: str | None = None
    values: tuple[str, ...] = ()


def rows_of(chart: Chart, source: Source, frame: pd.DataFrame, view: View) -> pd.DataFrame:
    """The source's rows that the chart is about: those that pass its filters, in the page's time range."""
    rows = select(frame, chart.filters)
    start = None if source.time is None or chart.all_time else since(view.time_range, view.now)
    return rows if start is None else rows[rows[source.time] >= start]


def axis_of(chart: Chart, source: Source) -> str | None:
    """The column of the horizontal axis: the chart's own, or the source's time."""
    return chart.x or (source.time if source.column(source.time) else None)


def data_of(chart: Chart, source: Source, rows: pd.DataFrame, view: View) -> ChartData:
    """What is drawn of the rows; its frame is empty where there are none."""
    if chart.type == "table":
        return ChartData(_table(chart, source, rows))
    if chart.type == "number":
        numbers = aggregate(rows, (), chart.metrics)
        return ChartData(numbers, values=tuple(numbers.columns))
    if chart.type in ROWS_AS_THEY_ARE:
        return _points(chart, rows)
    return _grouped(chart, source, rows, view)


def _table(chart: Chart, source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    if chart.columns:
        links = ["link"] if source.column("link") and "link" not in chart.columns else []
        if chart.order is None and source.time:
            rows = rows.sort_values(source.time, ascending=False, kind="stable")
        return ordered(rows, chart)[[*chart.columns, *links]]
    keys = [*([chart.x] if chart.x else []), *chart.group_by]
    return ordered(aggregate(rows.assign(**{key: label(rows[key]) for key in keys}), keys, chart.metrics), chart)


def _points(chart: Chart, rows: pd.DataFrame) -> ChartData:
    """Rows as they are; of very many points of a scatter an even choice."""
    y = chart.metrics[0].column
    rows = rows[rows[y].notna()]
    if chart.type == "scatter":
        rows = rows[rows[chart.x].notna()]
        rows = rows.iloc[:: max(1, -(-len(rows) // MOST_POINTS))]
    made = {"series": series_keys(rows, chart.group_by, MOST_SERIES), y: rows[y]}
    if chart.x:
        made = {chart.x: rows[chart.x]} | made
    frame = type(rows)(made)
    return ChartData(frame, x=chart.x, series="series" if chart.group_by else None, values=(y,))


def _grouped(chart: Chart, source: Source, rows: pd.DataFrame, view: View) -> ChartData:
    import pandas as pd

    x = axis_of(chart, source)
    kind = source.column(x).kind
    if kind == "time":
        axis = cut(rows[x], chart.interval, view.timezone)
    else:
        axis = rows[x] if kind == "number" else label(rows[x])
    keyed = rows.assign(**{x: axis})
    if kind not in ("time", "number"):
        keyed[x] = _largest(chart, keyed, x)
    keys, series = [x], None
    if chart.group_by:
        series = "series"
        most = chart.limit if chart.type == "heatmap" else MOST_SERIES  # rows of a heatmap need no colour
        keyed["series"] = series_keys(rows, chart.group_by, most)
        keys.append(series)
    frame = aggregate(keyed, keys, chart.metrics)
    values = tuple(metric.name for metric in chart.metrics)
    if chart.order and kind not in ("time", "number"):
        column, falling = chart.order.removeprefix("-"), chart.order.startswith("-")
        if column in values:
            place = frame.groupby(x)[column].sum().sort_values(ascending=not falling).index
            frame[x] = pd.Categorical(frame[x], place)
            frame = frame.sort_values(x, kind="stable")
            frame[x] = frame[x].astype(object)
        else:
            frame = frame.sort_values(column, ascending=not falling, kind="stable")
    return ChartData(frame.reset_index(drop=True), x=x, series=series, values=values)


def _largest(chart: Chart, keyed: pd.DataFrame, x: str) -> pd.Series:
    """Of more names than the chart's limit the largest ones, by its order or first metric; the others together."""
    if keyed[x].nunique() <= chart.limit:
        return keyed[x]
    sizes = aggregate(keyed, [x], chart.metrics[:1]).set_index(x).iloc[:, 0]
    kept = sizes.sort_values(ascending=not (chart.order or "-").startswith("-")).index[: chart.limit]
    return keyed[x].where(keyed[x].isin(kept))
