"""The plots that come with the project: importing this module registers them."""

from mlops_assets.dashboards.plots import contributions, data, dependence, errors, pictures, search

__all__ = ["contributions", "data", "dependence", "errors", "pictures", "search"]
