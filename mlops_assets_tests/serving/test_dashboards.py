"""Dashboards beside the API: opened when somebody looks, in the same middleware, and no harm to it when they fail."""

import re

import pytest
from dash import html

from mlops_assets.dashboards.theme import DASHBOARDS, new_app, shell
from mlops_assets.errors import StorageError

KEY = "some-key-0123456789"
LAYOUT = f"{DASHBOARDS}_dash-layout"


class Opener:
    """Gives a small application, or fails as often as it is told to; counts how often it was asked."""

    def __init__(self, failures=0):
        self.asked, self.failures = 0, failures

    def __call__(self, sampler):
        self.asked += 1
        if self.asked <= self.failures:
            raise StorageError("Dagster's storage cannot be used: no such host")
        self.sampler = sampler
        app = new_app("Dashboards", DASHBOARDS)
        app.layout = lambda: shell("Dashboards", DASHBOARDS, [html.Div("drawn")])
        return app


@pytest.mark.parametrize("path", [DASHBOARDS, LAYOUT])
def test_they_are_opened_once_when_somebody_looks(serve, path):
    opener = Opener()
    served = serve(opener)
    assert served.client.get("/").status_code == served.client.get("/ready").status_code == 200
    assert opener.asked == 0
    assert [served.client.get(path).status_code for _ in range(3)] == [200] * 3
    assert opener.asked == 1


def test_where_they_cannot_be_opened_it_is_told_and_tried_again(serve):
    served = serve(Opener(failures=1))
    error = served.error("GET", DASHBOARDS)
    assert (error["status"], error["code"]) == (503, "no_dashboards")
    assert error["message"] == "dashboards cannot be opened: Dagster's storage cannot be used: no such host"
    assert served.client.post("/predict", json={"zone": 3, "size": 42.5}).status_code == 200
    assert served.client.get(DASHBOARDS).status_code == 200


def test_they_are_behind_the_same_keys(serve):
    served = serve(Opener(), MLOPS_API_KEYS=KEY)
    for path in (DASHBOARDS, LAYOUT):
        assert served.error("GET", path)["status"] == 401
        assert served.client.get(path, auth=("me", KEY)).status_code == 200


def test_a_page_that_asks_for_all_its_charts_counts_as_one_request(serve):
    served = serve(Opener(), MLOPS_SERVE_RATE="0.01")  # so slow that no machine is slower
    assert {served.client.get(LAYOUT).status_code for _ in range(19)} == {200}
    statuses = [served.client.get(LAYOUT).status_code for _ in range(30)]
    assert statuses[-1] == 429


def test_form_and_dashboards_lead_to_each_other(serve):
    served = serve(Opener())
    for path in ("/_dash-layout", LAYOUT):
        page = served.client.get(path).text
        assert {'"href":"\\u002f"', '"href":"\\u002fdashboards\\u002f"'} <= set(re.findall(r'"href":"[^"]*"', page))


def test_requests_are_counted_from_the_start_of_the_server(serve):
    opener = Opener()
    served = serve(opener)
    served.client.get("/model")
    served.client.get(DASHBOARDS)
    opener.sampler.sample(opener.sampler.reading().frame["time"].max(), 1)
    assert "/model" in set(opener.sampler.reading().frame["route"])
