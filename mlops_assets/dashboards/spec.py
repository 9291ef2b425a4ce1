"""What a dashboard is: one YAML file, checked into frozen parts before anything is drawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mlops_assets.dataset.part import Part
from mlops_assets.dataset.parts import Alias
from mlops_assets.validation import spelled

COLUMNS = 12  # of the grid
Slug = Annotated[str, spelled(r"[a-z][a-z0-9-]*", "lower-case letters, digits and -, a letter first")]
ChartType = Literal[
    "line", "bar", "stacked bar", "histogram", "box", "scatter", "heatmap", "pie", "table", "number", "custom"
]
TEXTS: tuple[ChartType, ...] = ("table", "number")  # which need no figure
Aggregation = Literal[
    "count", "count distinct", "mean", "median", "min", "max", "sum", "quantile", "first", "last", "share"
]
Interval = Literal["auto", "minute", "hour", "day", "week", "month", "quarter", "year"]
TimeRange = Literal["1h", "24h", "7d", "30d", "90d", "1y", "all"]
RANGES: dict[TimeRange, tuple[str, timedelta | None]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
    "1y": ("1 year", timedelta(days=366)),
    "all": ("All time", None),
}
Value = str | bool | float
# Names that charts of users may still have: until 0.1 periods were months, and losses RMSE alone.
_SOURCES = {"months": "periods"}
_COLUMNS = {"month": "period", "months_learnt": "periods_learnt", "rmse": "loss"}
_LOSSES = ("validation", "challenger", "champion", "promised", "online")
_COLUMNS |= {f"{whose}_rmse": f"{whose}_loss" for whose in _LOSSES}
# Sources that had these columns.
_OF = ("periods", "dropped", "profiles", "performance", "drift", "backtest", "leaderboard", "decisions")


class BoardPart(Part):
    """Base of a dashboard's parts: frozen, and an unknown key is an error."""


class Size(BoardPart):
    """Where a chart stands, in cells of a grid of 12 columns; cards move up as far as they can."""

    x: int = Field(0, ge=0, lt=COLUMNS, description="Column of its left edge, from 0.")
    y: int = Field(0, ge=0, le=1000, description="Row of its upper edge, from 0.")
    w: int = Field(4, ge=1, le=COLUMNS, description="Width in columns.")
    h: int = Field(6, ge=1, le=40, description="Height in rows of 40 pixels.")

    @model_validator(mode="after")
    def _inside(self) -> Size:
        if self.x + self.w > COLUMNS:
            raise ValueError(f"x + w must not be more than {COLUMNS}")
        return self


class Metric(BoardPart):
    """A number computed for each group of rows."""

    aggregation: Aggregation = Field(
        "count",
        description="How; `count` needs no column, `share` is that of rows where a flag is true, "
        "`first` and `last` go by time and take texts too.",
    )
    column: str | None = Field(None, description="Column of the source that is aggregated.")
    quantile: float | None = Field(None, ge=0, le=1, description="Which quantile, from 0 to 1.")
    label: str | None = Field(None, description="Name in legends and tables; made of the rest without it.")

    @model_validator(mode="after")
    def _complete(self) -> Metric:
        if self.column is None and self.aggregation != "count":
            raise ValueError(f"{self.aggregation} needs a column")
        if (self.quantile is None) == (self.aggregation == "quantile"):
            raise ValueError("give quantile with the aggregation quantile, and with no other")
        return self

    @property
    def name(self) -> str:
        if self.label:
            return self.label
        if self.column is None:
            return "count"
        how = f"{self.quantile:.0%} quantile" if self.quantile is not None else self.aggregation
        return f"{how} of {self.column.replace('_', ' ')}"


class Condition(BoardPart):
    """What the values of a column must be; a row passes where all that is given holds."""

    one_of: tuple[Value, ...] | None = Field(None, description="Values that pass.")
    none_of: tuple[Value, ...] | None = Field(None, description="Values that do not pass.")
    min: float | None = Field(None, description="Smallest number that passes.")
    max: float | None = Field(None, description="Largest number that passes.")
    contains: str | None = Field(None, description="Text that the value contains, in any case.")
    known: bool | None = Field(None, description="true: only rows that have a value; false: only those without.")

    @model_validator(mode="after")
    def _some_test(self) -> Condition:
        if not self.model_fields_set:
            raise ValueError(f"give at least one of {', '.join(type(self).model_fields)}")
        return self


class Chart(BoardPart):
    """One chart: which rows, how they are grouped, what is computed of them, and how it is drawn."""

    title: str = Field(description="Heading of the card.", min_length=1, max_length=120)
    description: str = Field("", description="A sentence that explains it, shown on demand.")
    source: str = Field(description="Name of the source whose rows it shows.")
    type: ChartType = Field("custom", description="How it is drawn; `custom`, which takes a plot, needs no saying.")
    x: str | None = Field(None, description="Column of the horizontal axis, or of the slices; time without it.")
    interval: Interval = Field("auto", description="Steps in which a time on the axis is cut.")
    group_by: tuple[str, ...] = Field((), description="Columns whose values become series, rows or colours.")
    metrics: tuple[Metric, ...] = Field((Metric(),), min_length=1, description="What is computed of each group.")
    filters: dict[str, Condition] = Field(
        default_factory=dict, description="Conditions by column; a value, or a list of values, is short for `one_of`."
    )
    columns: tuple[str, ...] = Field((), description="Of a table: columns shown as they are, instead of metrics.")
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Of a table: headings by column; `{unit}` in them is the unit of the dataset's target.",
    )
    order: str | None = Field(None, description="Column or metric to sort by; with `-` before it, the largest first.")
    limit: int = Field(50, ge=1, le=1000, description="Rows of a table, bars, slices or series, at most.")
    horizontal: bool = Field(False, description="Of bars: lying, with room for long names.")
    all_time: bool = Field(False, description="Show all rows, whatever time range the page has.")
    unit: str = Field("", description="Unit of the metrics; `target` stands for that of the dataset's target.")
    plot: str | None = Field(None, description="Of type custom: name of the registered plot.")
    options: dict[str, Any] = Field(default_factory=dict, description="Of type custom: what the plot takes.")
    empty: str | None = Field(None, description="What to say where no row of the source is for this chart.")
    size: Size = Field(default_factory=Size, description="Where it stands, and how large it is.")

    @model_validator(mode="before")
    @classmethod
    def _renewed(cls, values: Any) -> Any:
        return _renewed_chart(values)

    @field_validator("filters", mode="before")
    @classmethod
    def _short_filters(cls, filters: Any) -> Any:
        if not isinstance(filters, dict):
            return filters
        return {column: _as_condition(value) for column, value in filters.items()}

    @field_validator("group_by", mode="before")
    @classmethod
    def _one_or_more(cls, names: Any) -> Any:
        return (names,) if isinstance(names, str) else names

    @model_validator(mode="after")
    def _fits_its_type(self) -> Chart:
        if (self.plot is None) == (self.type == "custom"):
            raise ValueError("give plot with the type custom, which needs no saying, and with no other")
        if self.options and self.type != "custom":
            raise ValueError("options are for the type custom")
        if (self.columns or self.labels) and self.type != "table":
            raise ValueError("columns are for the type table, and so are labels")
        for needs in ("histogram", "box", "scatter"):
            if self.type == needs and self.metrics[0].column is None:
                raise ValueError(f"a {needs} needs a metric with a column")
        if self.type in ("scatter", "heatmap", "pie") and self.x is None:
            raise ValueError(f"a {self.type} needs x")
        if self.type == "heatmap" and not self.group_by:
            raise ValueError("a heatmap needs group_by, whose values are its rows")
        return self


class Board(BoardPart):
    """A dashboard: a title, and charts by name."""

    title: str = Field(description="Heading of the page.", min_length=1, max_length=120)
    description: str = Field("", description="A sentence below the heading.")
    predicts: Literal["numbers", "classes"] | None = Field(
        None, description="The page is there only where the dataset's target is so; always where left out."
    )
    position: int = Field(100, description="Place among the dashboards: small numbers first.")
    time_range: TimeRange = Field("90d", description="Time range at first; each browser keeps its own.")
    refresh_seconds: int = Field(30, ge=5, le=3600, description="Seconds between two looks at the sources.")
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Keys of every chart that does not say otherwise, such as `source`.",
    )
    charts: dict[Alias, Chart] = Field(min_length=1, max_length=60, description="Charts by name.")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        match values:
            case {"defaults": dict(defaults), "charts": dict(charts)}:
                whole = {name: defaults | chart if isinstance(chart, dict) else chart for name, chart in charts.items()}
                return values | {"charts": whole}
        return values


def _as_condition(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    return {"one_of": value if isinstance(value, list | tuple) else [value]}


def _renewed_chart(chart: Any) -> Any:
    """A chart as it is written, with the names of now."""
    if not isinstance(chart, dict):
        return chart
    source = chart.get("source")
    source = _SOURCES.get(source, source) if isinstance(source, str) else source
    if source not in _OF:
        return chart
    places = ("x", "group_by", "metrics", "filters", "columns", "order")
    return chart | {"source": source} | {place: _renewed(chart[place]) for place in places if place in chart}


def _renewed(value: Any) -> Any:
    """Names of columns within lists, keys of filters and the columns of metrics."""
    if isinstance(value, str):
        sign = value[:1] if value.startswith("-") else ""
        return sign + _COLUMNS.get(value[len(sign) :], value[len(sign) :])
    if isinstance(value, list | tuple):
        return type(value)(_renewed(item) for item in value)
    if isinstance(value, dict) and "column" in value:
        return value | {"column": _renewed(value["column"])}
    return {_COLUMNS.get(key, key): item for key, item in value.items()} if isinstance(value, dict) else value
