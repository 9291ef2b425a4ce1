"""A Dash application below a prefix of an API, which keeps its own routes and its own 404."""

import gzip
import re

import httpx
import pyarrow as pa
import pytest
from dash import Input, Output, html
from fastapi import FastAPI

from mlops_assets.dashboards.mount import CALL_BYTES, mount
from mlops_assets.dashboards.theme import new_app, shell

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["/", "/pages/"])
def prefix(request):
    return request.param


@pytest.fixture
async def client(prefix):
    app = new_app("Title", prefix, css=".own { color: red }")
    app.layout = lambda: shell("Title", prefix, [html.Div(id="in"), html.Div(id="out")])

    @app.callback(Output("out", "children"), Input("in", "children"))
    def double(value):
        if value == "fail":
            raise RuntimeError("inside")
        return value * 2

    api = FastAPI()
    api.get("/api")(lambda: "own")
    mount(api, lambda: app, prefix)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        yield client


def call(value):
    inputs = [{"id": "in", "property": "children", "value": value}]
    output = {"id": "out", "property": "children"}
    return {"output": "out.children", "outputs": output, "inputs": inputs, "changedPropIds": ["in.children"]}


async def test_the_page_its_scripts_and_its_calls_are_below_the_prefix(client, prefix):
    page = await client.get(prefix)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert ".own { color: red }" in page.text
    scripts = re.findall(r'src="([^"]+)"', page.text)
    assert scripts and all(script.startswith(f"{prefix}_dash-component-suites/") for script in scripts)
    assert {(await client.get(script)).status_code for script in scripts} == {200}
    answer = await client.post(f"{prefix}_dash-update-component", json=call("ab"))
    assert answer.json()["response"] == {"out": {"children": "abab"}}


@pytest.mark.parametrize(("accepted", "sent"), [("gzip, br;q=1", "br"), ("gzip", "gzip"), ("identity", None)])
async def test_a_script_is_as_small_as_the_browser_takes_it(client, prefix, accepted, sent):
    script = re.findall(r'src="([^"]+)"', (await client.get(prefix)).text)[-1]
    whole = (await client.get(script, headers={"accept-encoding": "identity"})).content
    async with client.stream("GET", script, headers={"accept-encoding": accepted}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == sent
    unpack = {"br": lambda body: pa.Codec("brotli").decompress(body, len(whole)), "gzip": gzip.decompress, None: bytes}
    assert bytes(unpack[sent](raw)) == whole and (sent is None or 3 * len(raw) < len(whole))


async def test_everything_else_is_the_apis(client, prefix):
    assert (await client.get("/api")).json() == "own"
    for path in ("/nothing", f"{prefix}nothing", f"{prefix}_dash-component-suites/dash/nothing.js"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_without_its_last_slash_a_prefix_leads_to_its_page(client, prefix):
    answer = await client.get(prefix.removesuffix("/") or "/", follow_redirects=True)
    assert answer.status_code == 200 and "Title" in answer.text


async def test_an_error_of_a_callback_is_raised_through_to_the_api(client, prefix):
    with pytest.raises(RuntimeError, match="inside"):
        await client.post(f"{prefix}_dash-update-component", json=call("fail"))


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": call("x" * CALL_BYTES)}, 413),
        ({"content": "x", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": "x"}, 415),
        *(({"json": body}, 400) for body in ("x", [], 1, {}, {"output": "out.children"}, {"output": ["out"]})),
        *(({"json": call("ab") | part}, 400) for part in ({"output": "no.thing"}, {"inputs": []}, {"outputs": "out"})),
        *(({"json": call("ab") | part}, 400) for part in ({"inputs": [1]}, {"state": [1]}, {"changedPropIds": [1]})),
    ],
)
async def test_a_call_that_is_none_is_refused(client, prefix, options, status):
    answer = await client.post(f"{prefix}_dash-update-component", **options)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
