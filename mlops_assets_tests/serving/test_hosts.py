"""Without a key a server answers to its own names only, so that no page of another site asks it by way of a browser."""

import pytest

from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.hosts import OwnHosts

ROW = {"zone": 3, "size": 42.5}
PATHS = ["/", "/model", "/metrics", "/health", "/dashboards/_dash-layout", "/openapi.json"]


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_host_is_refused_on_every_page(served, path):
    error = served.error("GET", path, headers={"Host": "evil.example"})
    assert (error["status"], error["code"]) == (421, "foreign_host")
    assert "'evil.example'" in error["message"] and "MLOPS_SERVE_HOSTS" in error["message"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "", "192.0.2.1", "[::2]", "[", "a@b"],
)
def test_a_foreign_host_asks_no_model(served, host):
    assert served.error("POST", "/predict", json=ROW, headers={"Host": host})["code"] == "foreign_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000"])
def test_names_of_this_machine_are_its_own(served, host):
    assert served.client.post("/predict", json=ROW, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "file://", "http://localhost.evil.example"])
def test_a_page_of_another_site_is_refused(served, origin):
    error = served.error("POST", "/predict", json=ROW, headers={"Origin": origin})
    assert (error["status"], error["code"]) == (403, "foreign_origin")


def test_its_own_pages_may_ask(served):
    assert served.client.post("/predict", json=ROW, headers={"Origin": served.url}).status_code == 200


def test_names_of_the_settings_are_its_own_too(serve):
    served = serve(MLOPS_SERVE_HOSTS="rates.example, other.example", MLOPS_SERVE_URL="https://pages.example:8443/x")
    for host in ("rates.example:8000", "Other.Example", "pages.example"):
        answer = served.client.post("/predict", json=ROW, headers={"Host": host, "Origin": f"https://{host}"})
        assert answer.status_code == 200, host
    assert served.error("GET", "/model", headers={"Host": "evil.example"})["status"] == 421


def test_with_keys_every_name_will_do(serve):
    key = "some-key-0123456789"
    served = serve(MLOPS_API_KEYS=key)
    headers = {"Host": "rates.example", "Origin": "https://any.example", "X-API-Key": key}
    assert served.client.post("/predict", json=ROW, headers=headers).status_code == 200


def test_a_request_without_a_host_is_refused():
    with pytest.raises(ApiError, match="answers to its own names only"):
        OwnHosts().check({})
