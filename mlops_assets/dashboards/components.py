"""What components of Dash need on every page: ids that callbacks match by pattern, and attributes with a hyphen."""

from __future__ import annotations

from typing import Any

from dash.dependencies import Wildcard

IdPart = str | Wildcard  # a name, or MATCH or ALL where a callback is for several components


def pattern_id(**parts: IdPart) -> dict[str, IdPart]:
    """The id of one component, or the pattern of several."""
    return parts


def attributes(**values: Any) -> dict[str, Any]:
    """Keywords for a component: `aria_label` and `data_about` stand for `aria-label` and `data-about`."""
    return {name.replace("_", "-"): value for name, value in values.items()}
