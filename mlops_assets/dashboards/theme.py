"""The look of every page that is made with Dash: colours, light and dark, the frame with its header, plots; and the
rules of the dashboards (`CSS`).

    app = new_app("Predict", prefix="/")               # a Dash application without layout; `mount.py` serves it
    app.layout = lambda: shell("Predict", "/", [...])  # MantineProvider, header, title, content
    figure = {"data": [...], "layout": {"template": template(scheme)}}
    dcc.Graph(figure=figure, config=GRAPH_CONFIG)

The scheme is the browser's own until somebody switches it; the browser keeps the choice. All follows it by CSS: use
Mantine's colours (`c="dimmed"`, `var(--mantine-color-...)`) and the class `card` for a box.
Nothing here asks another host for anything: no web fonts, no icon sets, no CDN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import dash_mantine_components as dmc
from dash import Dash, dcc, html
from flask import has_request_context, request

from mlops_assets.core.report.drawing import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from dash.development.base_component import Component


Scheme = Literal["light", "dark"]

DASHBOARDS = "/dashboards/"
NAVIGATION = (("/", "Predict"), (DASHBOARDS, "Dashboards"), ("/docs/", "API docs"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', sans-serif"
MONOSPACE = "ui-monospace, 'Cascadia Mono', 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace"
GRAPH_CONFIG: dcc.Graph.Config = {"displayModeBar": False, "responsive": True}  # for dcc.Graph
COLOURS: dict[Scheme, tuple[str, ...]] = {  # of series, in this order
    "light": (BLUE, ORANGE, "#4c9a6a", "#8a6fb0", "#c25b56", "#3d97a8", GREY),
    "dark": ("#6f9fd4", "#e8a25c", "#6fbd8d", "#ab94d2", "#de8883", "#6bbfce", "#a3a9b3"),
}
_TEXT = {"light": "#495057", "dark": "#b3bbc5"}
_LINES = {"light": "#e9ecef", "dark": "#2d3540"}
_CARD = {"light": "#ffffff", "dark": "#1a2028"}
_BRAND = "#eef4fa #dce7f2 #b7cce3 #8fb0d5 #6c99c9 #4f84bc #3b6ea5 #325f90 #28507b #1d4067".split()
_DARK = "#cdd3da #b3bbc5 #8a94a1 #68727f #434c58 #333b46 #232a33 #1a2028 #12171d #0c1014".split()
THEME = {
    "primaryColor": "brand",
    "primaryShade": {"light": 6, "dark": 6},
    "defaultRadius": "md",
    "fontFamily": FONT,
    "fontFamilyMonospace": MONOSPACE,
    "headings": {"fontWeight": "600"},
    "cursorType": "pointer",
    "colors": {
        "brand": _BRAND,
        "accent": "#fdf4e9 #f9e5cf #f1c99d #e9ac69 #e2943f #d9822b #bd6d1f #9c5917 #7b4511 #5b330c".split(),
        "dark": _DARK,
    },
}


def attributes(**values: Any) -> dict[str, Any]:
    """Keywords for a component: `aria_label` and `data_about` stand for `aria-label` and `data-about`."""
    return {name.replace("_", "-"): value for name, value in values.items()}


class App(Dash):
    """A Dash application; `first` gives the HTML that its page shows until scripts have made the page itself."""

    first: Callable[[], str] = staticmethod(str)

    def index(self, *args: Any, **kwargs: Any) -> str:
        return super().index(*args, **kwargs).replace("<!-- first -->", self.first(), 1)


def new_app(title: str, prefix: str, *, css: str = "", on_error: Callable[[Exception], Any] | None = None) -> App:
    """A Dash application for the pages below `prefix`, which ends with a slash.

    `css`: rules of its own. `on_error`: takes what a callback raises, and may show it by `dash.set_props`.
    """
    app = App(
        "mlops_assets",
        title=title,
        index_string=_INDEX.replace("</style>", f"{css}</style>"),
        on_error=on_error,
        requests_pathname_prefix=prefix,
        routes_pathname_prefix="/",
        include_assets_files=False,
        add_log_handler=False,
    )
    app.config.update_title = None  # the title stays while a callback works; as an argument it may not be None
    app.enable_dev_tools(debug=False)
    return app


def opened_search() -> str:
    """What follows the address that the browser has opened, which it says where it asks for the layout."""
    opened = request.referrer if has_request_context() else None  # Dash looks at the layout before anyone asks
    return urlsplit(opened or "").query


def shell(
    title: str | Component, active: str, children: list[Component], *, subtitle: Any = None
) -> dmc.MantineProvider:
    """A whole page: the header, in which the entry of NAVIGATION with the address `active` is marked, and the content
    under its title. `subtitle`: text or components in grey below the title.
    """
    head = [dmc.Title(title, order=1, className="page-title")]
    if subtitle is not None:
        head.append(html.Div(subtitle, className="page-subtitle"))
    links = [
        html.A(name, href=address, **(attributes(aria_current="page") if address == active else {}))
        for address, name in NAVIGATION
    ]
    switch = dmc.ColorSchemeToggle(
        id="scheme",
        lightIcon=html.Span(className="icon sun"),
        darkIcon=html.Span(className="icon moon"),
        variant="subtle",
        color="gray",
        size="lg",
        **attributes(aria_label="Switch between light and dark"),
    )
    top = [html.A(className="logo", href="/", title="mlops-assets"), html.Nav(links), switch]
    page = [html.Header(html.Div(top), className="top"), html.Main([html.Div(head, className="page-head"), *children])]
    return dmc.MantineProvider(page, theme=THEME, defaultColorScheme="auto")


def template(scheme: Scheme) -> dict[str, Any]:
    """A Plotly template. Its background is that of the page, and a swipe over a figure scrolls the page."""
    axis: dict[str, Any] = {"gridcolor": _LINES[scheme], "linecolor": _LINES[scheme], "zerolinecolor": _LINES[scheme]}
    axis |= {"ticks": "outside", "ticklen": 4, "tickcolor": "rgba(0,0,0,0)"}  # room between labels and bars
    axis |= {"automargin": True, "title": {"font": {"size": 12}, "standoff": 8}}
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "itemwidth": 30}
    legend |= {"font": {"size": 11}}
    layout = {
        "font": {"family": FONT, "size": 12, "color": _TEXT[scheme]},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": COLOURS[scheme],
        "colorscale": {"sequential": [[0, _LINES[scheme]], [1, COLOURS[scheme][0]]]},
        "xaxis": axis,
        "yaxis": axis,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "legend": legend,
        "bargap": 0.25,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": _CARD[scheme], "bordercolor": _LINES[scheme], "font": {"color": _TEXT[scheme]}},
        "dragmode": False,
    }
    return {"layout": layout}


def _picture(shapes: str, colour: str = "black") -> str:
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='{colour}' "
    svg += f"stroke-width='2' stroke-linecap='round'>{shapes}</svg>"
    return "data:image/svg+xml," + svg.replace("#", "%23").replace("<", "%3C").replace(">", "%3E")


_SUN = _picture("<circle cx='12' cy='12' r='4'/><path d='M12 3v1M12 20v1M3 12h1M20 12h1M5.6 5.6l.7.7M17.7 17.7l.7.7"
                "M5.6 18.4l.7-.7M17.7 6.3l.7-.7'/>")  # fmt: skip
_MOON = _picture("<path d='M12 3a6 6 0 0 0 9 9 9 9 0 1 1-9-9z' stroke-linejoin='round'/>")
_LOGO = _picture(f"<path d='M4 19V13M10 19V9M16 19V11'/><path d='M4 7l6-3 6 3 4-3' stroke='{ORANGE}'/>", BLUE)
_CSS = f"""
:root[data-mantine-color-scheme=light] {{ --mantine-color-dimmed: #5c636a; --mantine-color-placeholder: #5c636a;
  --mantine-color-red-text: #c92a2a; --mantine-color-orange-text: #9a4a00; --mantine-color-error: #c92a2a; }}
.mantine-Badge-label, .mantine-Alert-title {{ color: var(--mantine-color-text); }}
:root {{ --mantine-color-text: #000; --mantine-color-anchor: {_BRAND[6]};
  --page: #f6f7f9; --card: {_CARD["light"]}; --line: #e3e6ea; --series: {BLUE}; --against: {ORANGE}; }}
:root[data-mantine-color-scheme=dark] {{ --mantine-color-text: {_DARK[0]}; --mantine-color-dimmed: {_DARK[2]};
  --mantine-color-anchor: {_BRAND[4]}; --page: #12171d; --card: {_CARD["dark"]}; --line: #2d3540;
  --series: #6f9fd4; --against: #e8a25c; color-scheme: dark; }}
* {{ box-sizing: border-box; }}
body {{ background: var(--page); font-family: {FONT}; line-height: 1.55; margin: 0;
  color: var(--mantine-color-text); }}
main {{ max-width: 1360px; margin: 0 auto; padding: 20px 20px 56px; }}
main a {{ color: var(--mantine-color-anchor); text-decoration: none; }}
main a:hover {{ text-decoration: underline; }}
.top {{ position: sticky; top: 0; z-index: 90; background: var(--card); border-bottom: 1px solid var(--line); }}
.top > div {{ max-width: 1360px; height: 52px; margin: 0 auto; padding: 0 20px; display: flex; align-items: center; }}
.top nav {{ display: flex; flex: 1; gap: 4px; height: 100%; }}
.top nav a {{ display: flex; align-items: center; padding: 2px 10px 0; color: var(--mantine-color-dimmed);
  font-size: 14px; font-weight: 500; white-space: nowrap; text-decoration: none; border-bottom: 2px solid #0000; }}
.top nav a:hover, .top nav a[aria-current] {{ color: var(--mantine-color-text); }}
.top nav a[aria-current] {{ border-bottom-color: var(--series); }}
.logo {{ width: 26px; height: 26px; margin-right: 12px; background: url("{_LOGO}") center / contain no-repeat; }}
.icon {{ display: inline-block; width: 18px; height: 18px; background: currentColor; }}
.sun {{ mask: url("{_SUN}") center / contain no-repeat; }}
.moon {{ mask: url("{_MOON}") center / contain no-repeat; }}
.page-head {{ margin-bottom: 20px; }}
.page-title {{ font-size: 24px; font-weight: 600; line-height: 1.25; margin: 0 0 4px; }}
.page-subtitle {{ color: var(--mantine-color-dimmed); font-size: 14px; }}
#at-work:not(:empty) {{ margin-bottom: 12px; padding: 8px 14px; border-left: 3px solid var(--series); font-size: 14px;
  text-align: left; color: var(--mantine-color-text); background: var(--card); }}
.card {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px; }}
._dash-loading {{ padding: 30vh 0; text-align: center; color: {GREY}; }}
@media (max-width: 48em) {{
  main {{ padding: 14px 12px 40px; }}
  .top > div {{ padding: 0 12px; }}
  .top nav {{ gap: 0; }}
  .top nav a {{ padding: 2px 7px 0; }}
  .logo {{ margin-right: 6px; }}
  .card {{ padding: 14px; }}
  .page-title {{ font-size: 20px; }}
}}
"""
# Before other scripts have come: the scheme, so that a dark page does not flash.
_EARLY = """
const kept = localStorage.getItem("mantine-color-scheme-value") || "auto";
const dark = kept === "dark" || (kept === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
document.addEventListener("submit", event => event.preventDefault());  // callbacks answer, not another page
document.addEventListener("click", event => {  // a tap on a button lets a field hand its value on, as a click does
    const button = event.detail && event.target.closest("form button");
    if (button && !button.contains(document.activeElement)) document.activeElement?.blur();
}, true);
"""
_INDEX = f"""<!DOCTYPE html>
<html lang="en">
<head>
{{%metas%}}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{%title%}}</title>
<link rel="icon" type="image/svg+xml" href="{_LOGO}">
<script>{_EARLY}</script>
{{%css%}}
<style>{_CSS}</style>
</head>
<body>
<noscript><main>This page needs JavaScript. The predictions do not: see /openapi.json.</main></noscript>
<!-- first -->
{{%app_entry%}}
<footer>{{%config%}}{{%scripts%}}{{%renderer%}}</footer>
</body>
</html>"""


CSS = """
.under-title { display: flex; flex-wrap: wrap; gap: 10px 20px; align-items: center; justify-content: space-between; }
.page-head { margin-bottom: 12px; }
#boards { display: flex; gap: 2px; align-items: center; overflow-x: auto; margin: 0 -10px 14px; scrollbar-width: none; }
#boards a { padding: 4px 10px; border-radius: 6px; font-size: 14px; white-space: nowrap; text-decoration: none;
  color: var(--mantine-color-dimmed); }
#boards a:hover { color: var(--mantine-color-text); background: var(--line); }
#boards a.current { color: var(--mantine-color-text); background: var(--line); font-weight: 600; }
#boards .between { flex: none; width: 1px; height: 16px; margin: 0 6px; background: var(--line); }
.tools { display: flex; gap: 10px; align-items: center; min-height: 30px; }
.cell { height: 100%; }
.chart-card { display: flex; flex-direction: column; height: 100%; padding: 8px 10px 8px;
  min-width: 0; container-type: inline-size; }
.card-head { display: flex; flex: none; gap: 6px; align-items: center; min-height: 26px; }
.space { flex: 1; }
.card-head h2 { min-width: 0; margin: 0; font-size: 14px; font-weight: 600; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.card-grip { flex: none; width: 10px; height: 16px; cursor: grab; opacity: .45; touch-action: none;
  background: radial-gradient(circle, currentColor 1.2px, transparent 1.3px) 0 0 / 5px 5.4px; }
.card-grip:hover { opacity: 1; }
.react-draggable-dragging .card-grip { cursor: grabbing; }
.react-draggable-dragging { z-index: 3; opacity: .92; }
.about { flex: none; display: inline-flex; align-items: center; justify-content: center; width: 15px; height: 15px;
  border: 1px solid currentColor; border-radius: 50%; font: italic 600 10px/1 Georgia, serif; cursor: help;
  color: var(--mantine-color-dimmed); position: relative; }
.about:hover::after, .about:focus::after { content: attr(data-about); position: absolute; top: 20px; right: -60px;
  z-index: 9;
  width: 270px; padding: 8px 10px; border-radius: 8px; font: 13px/1.4 var(--mantine-font-family); text-align: left;
  background: var(--mantine-color-dark-6); color: #fff; box-shadow: 0 4px 14px #0004; }
.react-grid-item:hover, .react-grid-item:focus-within { z-index: 4; }
.downloads { flex: none; opacity: 0; }
.downloads button { padding: 1px 4px; border: 0; border-radius: 4px; background: none; font-size: 11px; cursor: pointer;
  color: var(--mantine-color-dimmed); }
.downloads button:hover { color: var(--mantine-color-text); background: var(--line); }
.chart-card:hover .downloads, .downloads:focus-within { opacity: 1; }
@media (hover: none) { .downloads { opacity: .8; } }
.choice { flex: 0 1 230px; min-width: 90px; }
@container (max-width: 420px) {
  .card-head h2 { max-width: calc(100cqi - 110px); line-height: 1.25; white-space: normal; }
  .card-head:has(.choice:not([style*=none])) { flex-wrap: wrap; }
  .choice { order: 9; flex: 1 0 100%; }
}
.card-body { flex: 1; min-height: 0; position: relative; }
.graph { height: 100%; }
.waiting { height: 100%; border-radius: 6px; background: var(--line); opacity: .35;
  animation: wait 1.4s infinite alternate; }
@keyframes wait { to { opacity: .7; } }
.message { display: flex; height: 100%; align-items: safe center; justify-content: center; padding: 0 14px;
  text-align: center; font-size: 14px; color: var(--mantine-color-dimmed); overflow: auto; }
.message p { margin: 0; max-width: 46em; }
.message code { font-size: 12.5px; color: var(--mantine-color-text); }
@container (max-width: 240px) {
  .card-head h2 { max-width: none; }
  .downloads { position: absolute; right: 0; bottom: 0; }
  .message { font-size: 11px; line-height: 1.35; padding: 0; }
}
.note { position: absolute; right: 4px; bottom: 0; z-index: 1; padding: 1px 6px; border-radius: 4px; font-size: 11px;
  background: var(--page); color: var(--mantine-color-orange-text); }
.card-body > div:has(> .note) { height: 100%; }
.message.wrong { color: var(--mantine-color-red-text); }
.number { height: 100%; display: flex; flex-direction: column; align-items: flex-start; justify-content: center;
  padding: 0 6px; overflow: hidden; }
.number .figure { font-size: clamp(17px, 9cqi, 30px); font-weight: 650; line-height: 1.15; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.number .beside { margin-top: 3px; font-size: 13px; color: var(--mantine-color-dimmed); }
.table { height: 100%; overflow: auto; }
.rows { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.rows th { position: sticky; top: 0; min-width: 5em; padding: 4px 8px; text-align: left;
  font-weight: 600; vertical-align: bottom;
  background: var(--card); color: var(--mantine-color-dimmed); box-shadow: inset 0 -1px var(--line); z-index: 1; }
.rows td { padding: 4px 8px; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
.rows td.long { min-width: 180px; white-space: normal; }
.badge { padding: 1px 8px; border-radius: 4px; font-size: 11px; font-weight: 700;
  background: color-mix(in srgb, var(--tone) 16%, #0000); }
.rows .right { text-align: right; }
@container (max-width: 460px) { .rows td.long { min-width: 130px; } }
.rows a { color: var(--mantine-color-anchor); text-decoration: none; }
.rows a:hover { text-decoration: underline; }
.react-grid-item > .react-resizable-handle::after { border-color: var(--mantine-color-dimmed); opacity: .6; }
.react-grid-item.react-grid-placeholder { background: var(--series); opacity: .18; border-radius: 10px; }
.editor-head { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; }
.editor-head .buttons { display: flex; gap: 8px; }
.editor { display: grid; grid-template-columns: minmax(320px, 2fr) minmax(0, 3fr); gap: 16px;
  height: calc(92vh - 84px); }
.write { display: flex; flex-direction: column; gap: 8px; min-height: 0; }
.yaml { flex: 1; min-height: 0; display: flex; flex-direction: column; }
.yaml .mantine-Textarea-wrapper, .yaml textarea { flex: 1; height: 100%; resize: none; white-space: pre; overflow: auto;
  font: 12.5px/1.5 var(--mantine-font-family-monospace); tab-size: 2; }
.known { font-size: 13px; max-height: 40%; overflow: auto; }
.known summary { cursor: pointer; font-weight: 600; }
.known pre { font: 12px/1.5 var(--mantine-font-family-monospace); white-space: pre-wrap; }
.read { min-height: 0; overflow: auto; }
.right-verdict, .wrong-verdict { position: sticky; top: 0; z-index: 2; padding: 7px 10px; border-radius: 6px;
  font-size: 13px; margin-bottom: 10px; background: var(--page); }
.right-verdict { box-shadow: inset 3px 0 #4c9a6a; }
.wrong-verdict { box-shadow: inset 3px 0 #c25b56; }
@media (max-width: 48em) {
  .card-grip { display: none; }
  .tools { flex-wrap: wrap; width: 100%; min-height: 70px; }
  .editor { grid-template-columns: minmax(0, 1fr); height: auto; }
  .yaml { min-height: 300px; }
}
"""
