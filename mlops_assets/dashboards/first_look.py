"""A page as plain HTML, which is seen until the scripts have made it anew: its frame, texts, numbers and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from dash.development.base_component import Component
from dash_snap_grid import ResponsiveGrid

from mlops_assets.dashboards.grid import still

_TAGS = {"MantineProvider": "div", "Title": "h1", "Link": "a"}  # of what is not an HTML component
_NAMES = {"className": "class", "tabIndex": "tabindex"}
# Once the page itself is there, this one goes. A time range of the browser's own shows other numbers.
_SCRIPT = """
{
    const first = document.getElementById("first"), own = "_dash_persistence.range.";
    const leave = () => document.querySelector("#react-entry-point #content > *") && (first.remove(), true);
    if (Object.keys(localStorage).some(key => key.startsWith(own))) first.classList.add("without-numbers");
    new MutationObserver((_, watch) => leave() && watch.disconnect())
        .observe(document.body, {childList: true, subtree: true});
}
"""
CSS = """
#first ~ #react-entry-point { position: absolute; top: 0; width: 100%; height: 0; overflow: hidden;
  visibility: hidden; }
#first .tools { min-width: min(588px, 100%); }
#first.without-numbers .card-body > *, #first .downloads { visibility: hidden; }
"""


def first_look(page: Component) -> str:
    """The page, with the script that takes it away."""
    return f'<div id="first">{as_html(page)}</div><script>{_SCRIPT}</script>'


def as_html(part: Any) -> str:
    """A component and what is in it; those that need scripts are left out, and where a figure comes stands a box."""
    if part is None:
        return ""
    if not isinstance(part, Component):
        is_several = isinstance(part, Iterable) and not isinstance(part, str)
        return "".join(map(as_html, part)) if is_several else escape(str(part))
    if isinstance(part, ResponsiveGrid):
        return as_html(still(part))
    kind, values = part._type, part.to_plotly_json()["props"]
    tag = kind.lower() if part._namespace == "dash_html_components" else _TAGS.get(kind)
    if tag is None:
        return ""
    told = "".join(_attribute(name, value) for name, value in values.items() if name != "children")
    return f"<{tag}{told}>{as_html(values.get('children'))}</{tag}>"


def _attribute(name: str, value: Any) -> str:
    """One attribute; a name that is no text, and what only scripts understand, is left out."""
    if name == "style":
        styles = {re.sub("([A-Z])", r"-\1", key).lower(): of for key, of in value.items()}
        value = "; ".join(f"{key}: {of}" for key, of in styles.items())
    if value is True:
        return f" {name}"
    if not isinstance(value, str | int) or value is False:
        return ""
    return f' {_NAMES.get(name, name)}="{escape(str(value))}"'
