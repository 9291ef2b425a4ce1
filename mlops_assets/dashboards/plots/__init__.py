"""Plots in Python, for charts of type `custom`; a user's own are registered by the same decorator.

    from mlops_assets.dashboards.plots import plot

In: the rows of a source and the choices of the page. Out: a Plotly figure, or `Empty` with what to do.
"""

from mlops_assets.dashboards.plots.registry import Empty, Options, PlotRequest, plot

__all__ = ["Empty", "Options", "PlotRequest", "plot"]
