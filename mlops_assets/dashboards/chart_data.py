"""What one chart draws, as a table: rows chosen, grouped, aggregated, cut in steps of time. Its CSV holds the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_assets.dashboards.format import NONE, OTHERS, View
from mlops_assets.dashboards.sources.source import Source, none_where_missing
from mlops_assets.dashboards.spec import RANGES, Chart, Condition, Interval, Metric, TimeRange
from mlops_assets.errors import SpecError

if TYPE_CHECKING:
    import pandas as pd
    from pandas.core.groupby import DataFrameGroupBy


MOST_POINTS = 3_000  # of a scatter
MOST_SERIES = 12
ROWS_AS_THEY_ARE = ("histogram", "box", "scatter")
# The shortest span of time, in days, that is cut in these steps.
_STEPS: tuple[tuple[float, Interval], ...] = (
    (3 * 366, "quarter"),
    (300, "month"),
    (92, "week"),
    (3, "day"),
    (0.13, "hour"),
    (0, "minute"),
)
_PERIODS = {"minute": "min", "hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}


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


def since(time_range: TimeRange, now: datetime) -> datetime | None:
    """The beginning of a time range that ends now; None where it has none."""
    _, span = RANGES[time_range]
    return None if span is None else now - span


def select(frame: pd.DataFrame, filters: Mapping[str, Condition]) -> pd.DataFrame:
    """The rows that pass every condition."""
    for column, condition in filters.items():
        frame = frame[_passes(frame[column], condition)]
    return frame


def _passes(values: pd.Series, condition: Condition) -> pd.Series:
    import pandas as pd

    passes = pd.Series(True, index=values.index)
    if condition.one_of is not None:
        passes &= values.isin(condition.one_of)
    if condition.none_of is not None:
        passes &= ~values.isin(condition.none_of)
    if condition.min is not None:
        passes &= values >= condition.min
    if condition.max is not None:
        passes &= values <= condition.max
    if condition.contains is not None:
        passes &= values.astype(str).str.contains(condition.contains, case=False, regex=False)
    if condition.known is not None:
        passes &= values.notna() == condition.known
    return passes


def step_for(interval: Interval, first: datetime, last: datetime) -> Interval:
    """The step in which a span of time is cut: the one asked for, or for `auto` one that gives some 3 to 90 parts."""
    if interval != "auto":
        return interval
    days = (last - first).total_seconds() / 86_400
    return next(step for shortest, step in _STEPS if days >= shortest)


def cut(times: pd.Series, interval: Interval, timezone: str) -> pd.Series:
    """The beginning of the step that each time lies in, as the wall clock of the time zone shows it."""
    if times.empty:
        return times.dt.tz_localize(None)
    step = step_for(interval, times.min(), times.max())
    return times.dt.tz_convert(timezone).dt.tz_localize(None).dt.to_period(_PERIODS[step]).dt.start_time


def aggregate(frame: pd.DataFrame, keys: Sequence[str], metrics: Sequence[Metric]) -> pd.DataFrame:
    """A row for each combination of the keys' values, or one row without keys, with a column for each metric."""
    import pandas as pd

    if keys:
        groups = frame.groupby(list(keys), sort=True, observed=True)
        return pd.DataFrame({metric.name: _values(groups, metric) for metric in metrics}).reset_index()
    whole = pd.CategoricalIndex([0] * len(frame), categories=[0])  # one group, which is there where no row is
    groups = frame.groupby(whole, observed=False)
    return pd.DataFrame({metric.name: none_where_missing(_values(groups, metric)) for metric in metrics})


def _values(groups: DataFrameGroupBy, metric: Metric) -> pd.Series:
    if metric.column is None:
        return groups.size()
    column = groups[metric.column]
    if metric.quantile is not None:
        return column.quantile(metric.quantile)
    match metric.aggregation:
        case "count distinct":
            return column.nunique()
        case "share":
            return column.mean()
        case "sum":
            return column.sum(min_count=1)
        case name:
            return getattr(column, name)()


def series_keys(frame: pd.DataFrame, group_by: Sequence[str], limit: int) -> pd.Series:
    """One text for each row, made of its groups; the rarest of more than `limit` texts become `others`."""
    import pandas as pd

    if not group_by:
        return pd.Series("", index=frame.index)
    key = label(frame[group_by[0]])
    for column in group_by[1:]:
        key = key + ", " + label(frame[column])
    counts = key.value_counts()
    return key if len(counts) <= limit else key.where(key.isin(counts.index[: limit - 1]), OTHERS)


def label(values: pd.Series) -> pd.Series:
    """Values as texts."""
    import pandas as pd

    if pd.api.types.is_float_dtype(values):
        return values.map(lambda value: NONE if value != value else f"{value:g}")
    if pd.api.types.is_bool_dtype(values):
        return values.map({True: "yes", False: "no"})
    codes, distinct = pd.factorize(values, use_na_sentinel=False)  # a hundred thousand rows have a dozen names
    names = [NONE if value is None or value is pd.NaT or value != value else str(value) for value in distinct]
    return pd.Series(names, dtype=object).take(codes).set_axis(values.index)


def ordered(frame: pd.DataFrame, chart: Chart) -> pd.DataFrame:
    """Rows in the order that the chart asks for, the first `limit` of them."""
    if chart.order:
        column, falling = chart.order.removeprefix("-"), chart.order.startswith("-")
        frame = frame.sort_values(column, ascending=not falling, kind="stable", na_position="last")
    return frame.head(chart.limit)


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
    if y is None:
        raise SpecError(f"a {chart.type} needs a metric with a column")
    rows = rows[rows[y].notna()]
    if chart.type == "scatter" and chart.x is not None:
        rows = rows[rows[chart.x].notna()]
        rows = rows.iloc[:: max(1, -(-len(rows) // MOST_POINTS))]
    columns = {"series": series_keys(rows, chart.group_by, MOST_SERIES), y: rows[y]}
    if chart.x:
        columns = {chart.x: rows[chart.x]} | columns
    return ChartData(type(rows)(columns), x=chart.x, series="series" if chart.group_by else None, values=(y,))


def _grouped(chart: Chart, source: Source, rows: pd.DataFrame, view: View) -> ChartData:
    """A row for each step of time, number or name on the axis, and each series."""
    axis = source.column(chart.x or source.time)
    if axis is None:
        raise SpecError(f"{source.name} has no time for the axis: name a column")
    x, kind = axis.name, axis.kind
    if kind == "time":
        places = cut(rows[x], chart.interval, view.timezone)
    else:
        places = rows[x] if kind == "number" else label(rows[x])
    keyed = rows.assign(**{x: places})
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
        size = frame.groupby(x)[column].transform("sum") if column in values else frame[column]
        frame = frame.loc[size.sort_values(ascending=not falling, kind="stable").index]
    return ChartData(frame.reset_index(drop=True), x=x, series=series, values=values)


def _largest(chart: Chart, keyed: pd.DataFrame, x: str) -> pd.Series:
    """Of more names than the chart's limit the largest ones, by its order or first metric; the others together."""
    if keyed[x].nunique() <= chart.limit:
        return keyed[x]
    sizes = aggregate(keyed, [x], chart.metrics[:1]).set_index(x).iloc[:, 0]
    kept = sizes.sort_values(ascending=not (chart.order or "-").startswith("-")).index[: chart.limit]
    return keyed[x].where(keyed[x].isin(kept))
