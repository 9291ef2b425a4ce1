"""From the rows of a source to the numbers of a chart: filter, cut time, group, aggregate. Pure functions of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlops_assets.dashboards.spec import Chart, Condition, Interval, Metric, TimeRange

if TYPE_CHECKING:
    import pandas as pd

OTHERS = "others"
NONE = "none"  # what stands for a missing value in a group
RANGES: dict[TimeRange, timedelta | None] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=366),
    "all": None,
}
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


def since(time_range: TimeRange, now: datetime) -> datetime | None:
    """The beginning of a time range that ends now; None where it has none."""
    span = RANGES[time_range]
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

    if not keys:
        return pd.DataFrame({metric.name: [_value(frame, metric)] for metric in metrics})
    groups = frame.groupby(list(keys), sort=True, observed=True)
    return pd.DataFrame({metric.name: _values(groups, metric) for metric in metrics}).reset_index()


def _values(groups, metric: Metric) -> pd.Series:
    if metric.column is None:
        return groups.size()
    column = groups[metric.column]
    match metric.aggregation:
        case "count distinct":
            return column.nunique()
        case "quantile":
            return column.quantile(metric.quantile)
        case "share":
            return column.mean()
        case "sum":
            return column.sum(min_count=1)
        case name:
            return getattr(column, name)()


def _value(frame: pd.DataFrame, metric: Metric):
    """The metric of all rows; None where there are none to take it of."""
    if metric.aggregation == "count":
        return int(frame[metric.column].count()) if metric.column else len(frame)
    values = frame[metric.column].dropna()
    if values.empty:
        return 0 if metric.aggregation == "count distinct" else None
    match metric.aggregation:
        case "count distinct":
            return int(values.nunique())
        case "quantile":
            return values.quantile(metric.quantile)
        case "share":
            return values.mean()
        case "first":
            return values.iloc[0]
        case "last":
            return values.iloc[-1]
        case name:
            return getattr(values, name)()


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
    codes, known = pd.factorize(values, use_na_sentinel=False)  # a hundred thousand rows have a dozen names
    names = [NONE if value is None or value is pd.NaT or value != value else str(value) for value in known]
    return pd.Series(names, dtype=object).take(codes).set_axis(values.index)


def ordered(frame: pd.DataFrame, chart: Chart) -> pd.DataFrame:
    """Rows in the order that the chart asks for, the first `limit` of them."""
    if chart.order:
        column, falling = chart.order.removeprefix("-"), chart.order.startswith("-")
        frame = frame.sort_values(column, ascending=not falling, kind="stable", na_position="last")
    return frame.head(chart.limit)
