"""What the environment gave for ${NAME} stands on no page, in no data of a chart, and in no error of one."""

import json
from datetime import UTC, datetime

import pytest
from plotly.utils import PlotlyJSONEncoder

from mlops_assets.cli.serve import read_catalogue
from mlops_assets.dashboards.context import open_dashboards
from mlops_assets.dashboards.sources.serving import Sampler
from mlops_assets_tests.test_no_hidden_names import deals, warehouse  # noqa: F401  (fixtures)


@pytest.mark.slow
def test_no_chart_tells_a_hidden_name(deals):  # noqa: F811
    assert deals.command("run").code == 0
    project, told = deals.project(), []
    with deals.instance() as instance:
        dashboards = open_dashboards(project, instance, read_catalogue(project), Sampler(bytes))
        view = dashboards.view("light", "all", datetime.now(UTC))
        for page in dashboards.library.page_list().pages:
            for chart in page.board.charts.values():
                drawn = dashboards.renderer.render(chart, view)
                while not drawn.complete:
                    drawn = dashboards.renderer.render(chart, view)
                told.append(json.dumps([drawn.body, drawn.choices], cls=PlotlyJSONEncoder))
                told.append(dashboards.renderer.csv(chart, view))
    told.append(str([(path.name, path.read_bytes()) for path in (project.home / "dashboards").glob("*")]))
    assert "size" in "".join(told)
    assert [text for text in told if "Zq_" in text] == []
