"""Dashboards on PostgreSQL: Dagster's storage, MLflow's, and the project's own tables."""

import json
from datetime import UTC, datetime

import pytest
from plotly.utils import PlotlyJSONEncoder

from mlops_assets.cli.serve import read_catalogue
from mlops_assets.dashboards.context import open_dashboards
from mlops_assets.dashboards.library import Place
from mlops_assets.dashboards.sources.serving import Sampler
from mlops_assets_tests.homes import write_yaml

pytestmark = pytest.mark.slow

PAGES = ("overview", "data-preparation", "sklearn-training", "model", "data")


def test_every_chart_draws_what_is_kept_in_postgresql(new_shop, make_postgres, tmp_path):
    write_yaml(tmp_path / "dagster.yaml", {"storage": {"postgres": {"postgres_url": make_postgres()}}})
    stores = {"MLOPS_TRACKING_URI": make_postgres(), "MLOPS_DATABASE_URL": make_postgres()}
    home = new_shop(DAGSTER_HOME=str(tmp_path), **stores)
    assert home.command("run").code == 0
    project = home.project()
    with home.instance() as instance:
        dashboards = open_dashboards(project, instance, read_catalogue(project), Sampler(bytes))
        view = dashboards.view("light", "all", datetime.now(UTC))
        empty = {}
        for slug in PAGES:
            charts = dashboards.library.page_list().page(slug).board.charts
            for name, chart in charts.items():
                while not (drawn := dashboards.renderer.render(chart, view)).complete:
                    pass
                shown = json.dumps(drawn.body, cls=PlotlyJSONEncoder, allow_nan=False)
                assert "message wrong" not in shown, shown
                empty.setdefault(slug, []).extend([name] if '"className": "message"' in shown else [])
        assert len(empty["overview"]) == 0, empty
        assert all(len(names) <= 4 for names in empty.values()), empty
        dashboards.store.save_layout("overview", "wide", {"champion": Place(3, 0, 3, 3)})
        assert dashboards.store.layouts("overview") == {"wide": {"champion": Place(3, 0, 3, 3)}}
