"""Names of a source and of columns that charts of users may still have: periods were months, losses RMSE alone."""

from typing import Any

SOURCES = {"months": "periods"}
COLUMNS = {"month": "period", "months_learnt": "periods_learnt", "rmse": "loss"}
_LOSSES = ("validation", "challenger", "champion", "promised", "online")
COLUMNS |= {f"{whose}_rmse": f"{whose}_loss" for whose in _LOSSES}
# Sources that had these columns.
_OF = ("periods", "dropped", "profiles", "performance", "drift", "backtest", "leaderboard", "decisions")


def renewed(chart: Any) -> Any:
    """A chart as it is written, with the names of now."""
    if not isinstance(chart, dict):
        return chart
    source = chart.get("source")
    source = SOURCES.get(source, source) if isinstance(source, str) else source
    if source not in _OF:
        return chart
    places = ("x", "group_by", "metrics", "filters", "columns", "order")
    return chart | {"source": source} | {place: _renewed(chart[place]) for place in places if place in chart}


def _renewed(value: Any) -> Any:
    """Names of columns within lists, keys of filters and the columns of metrics."""
    if isinstance(value, str):
        sign = value[:1] if value.startswith("-") else ""
        return sign + COLUMNS.get(value[len(sign) :], value[len(sign) :])
    if isinstance(value, list | tuple):
        return type(value)(_renewed(item) for item in value)
    if isinstance(value, dict) and "column" in value:
        return value | {"column": _renewed(value["column"])}
    return {COLUMNS.get(key, key): item for key, item in value.items()} if isinstance(value, dict) else value
