"""The form over HTTP: what its page loads, and what its calls answer, as the browser makes them."""

import base64
import json
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from mlops_assets.resources.progress import PARTS
from mlops_assets.run_tags import RETRAIN, STARTED_BY
from mlops_assets.serving.metrics import PipelineMetrics
from mlops_assets.serving.predictor import STARTING
from mlops_assets_tests.homes import Home
from mlops_assets_tests.serving.served import serving

ROW = {"zone": 3, "size": 42.5}
KEY = "some-key-0123456789"
CALL = "/_dash-update-component"
KINDS = {"zone": "select", "size": "number"}


@pytest.fixture
def copy(shop, tmp_path):
    """A home whose champion a test may change; its models are those of the shop."""
    shutil.copy(shop.folder / "mlflow.db", tmp_path)
    return Home(tmp_path, **(shop.env | {"MLOPS_HOME": str(tmp_path)}))


def field(name):
    return {"part": "field", "name": name, "kind": KINDS[name]}


def state(component, name, value):
    return {"id": component, "property": name, "value": value}


def fields_state(values):
    """State of all fields: their ids and values."""
    return [[state(field(name), part, each) for name, each in shown.items()] for part, shown in _parts(values)]


def _parts(values):
    return ("id", {name: field(name) for name in values}), ("value", values)


def call(served, outputs, inputs, states, trigger=0):
    """A call as Dash makes it; gives the body of its answer, or None where nothing changes."""
    each = [{"id": name, "property": part} for name, part in outputs]
    told = ["{}.{}".format(*output) for output in outputs]
    body = {
        "output": f"..{'...'.join(told)}.." if len(told) > 1 else told[0],
        "outputs": each if len(each) > 1 else each[0],
        "inputs": inputs,
        "changedPropIds": ["{id}.{property}".format(**inputs[trigger])],
        "state": states,
    }
    answer = served.client.post(CALL, json=body)
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.status_code == 200 else None


def ask(served, values, compare=(), search="", by_link=False):
    inputs = [state("predict", "n_clicks", 1), state("url", "search", search)]
    rest = [state("url", "href", served.url + "/"), *fields_state(values), state("compare", "value", list(compare))]
    return call(served, [("answer", "children"), ("url", "search")], inputs, rest, trigger=int(by_link))


def cards(told):
    """The numbers of all cards by version, with all their digits, from their data attributes."""
    if isinstance(told, dict) and "data-prediction" in told:
        return {told["data-version"]: float(told["data-prediction"])}
    parts = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return {number: prediction for part in parts for number, prediction in cards(part).items()}


def text(told):
    return json.dumps(told, ensure_ascii=False)


def others(served):
    numbers = {version.number for version in served.project.registry.newest(20)}
    return sorted(numbers - {served.champion.number})


def test_the_page_loads_nothing_from_another_host(served):
    page = served.client.get("/").text
    places = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(places) > 5
    assert all(place.startswith(("/_dash-", "data:")) for place in places)
    policy = served.client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy


def test_scripts_come_compressed_and_are_kept_by_the_browser(served):
    for place in re.findall(r'src="([^"]+)"', served.client.get("/").text):
        answer = served.client.get(place)
        assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
        assert "immutable" in answer.headers["cache-control"]
        plain = served.client.get(place, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.content == answer.content


def test_a_script_without_a_version_is_sent_once_and_then_asked_for_by_its_digest(served):
    place = "/_dash-component-suites/plotly/package_data/plotly.min.js"
    first = served.client.get(place)
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    again = served.client.get(place, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert served.client.get(place, headers={"If-None-Match": '"of another release"'}).status_code == 200


def test_a_script_is_sent_to_a_page_that_another_worker_made(shop):
    with serving(shop) as first:
        places = re.findall(r'src="([^"]+)"', first.client.get("/").text)
    with serving(shop) as second:
        assert {second.client.get(place).status_code for place in places} == {200}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_dash-component-suites/dash/nothing.js", 404),
        ("GET", "/_dash-component-suites/os/path.py", 404),
        ("GET", "/_dash-component-suites/dash/../../../etc/passwd", 404),
        ("GET", "/_dash-nothing", 404),
        ("GET", "/assets/x.css", 404),
        ("POST", "/", 405),
        ("GET", CALL, 405),
    ],
)
def test_what_the_form_does_not_have_is_told_in_the_shape_of_all_errors(served, method, path, status):
    assert served.error(method, path)["status"] == status


def test_an_empty_form_says_how_far_the_retraining_is_that_leads_to_the_first_champion(new_home, monkeypatch):
    monkeypatch.setattr("mlops_assets.serving.metrics.LOOK_SECONDS", 0)

    def look():
        answer = call(empty, [("at-work", "children")], [state("look", "n_intervals", 1)], [])
        return answer["response"]["at-work"]["children"]

    with dg.DagsterInstance.ephemeral() as instance:
        with serving(new_home(), pipeline=PipelineMetrics(lambda: nullcontext(instance))) as empty:
            assert look() == [] and '"at-work"' in text(empty.client.get("/_dash-layout").json())
            tags = {PARTS: "18 of 27", STARTED_BY: "schedule"}
            run = instance.add_run(dg.DagsterRun(RETRAIN, tags=tags, status=dg.DagsterRunStatus.STARTED))
            link, words = look()
    assert link["props"]["href"].endswith(f"/runs/{run.run_id}")
    assert words == ", started by schedule: 18 of 27 parts"


def test_the_fields_are_those_of_the_signature(served):
    page = text(served.client.get("/_dash-layout").json())
    assert '"Predict price"' in page
    for name, kind in KINDS.items():
        assert f'"part": "field", "name": "{name}", "kind": "{kind}"' in page
    assert "5 known" in page
    assert "Size (cm)" in page and "Length of the longest side; seen: " in page
    assert "Ridge" in page


def test_a_new_page_holds_a_real_row(served):
    page = served.client.get("/_dash-layout").json()
    values = {name: value for name, value in _values(page) if name in KINDS}
    row = served.champion.golden_rows[0]
    assert values == {"zone": str(int(row["zone"])), "size": row["size"]}


def _values(part):
    if isinstance(part, dict):
        if isinstance(identity := part.get("id"), dict) and "name" in identity:
            yield identity["name"], part.get("value")
        part = part.values()
    for inner in part if not isinstance(part, str | int | float | None) else ():
        yield from _values(inner)


def test_an_answer_is_the_number_that_post_predict_gives(served, rows):
    for row in rows[:20]:
        if None in row.values():
            continue
        [(number, prediction)] = cards(ask(served, {"zone": str(row["zone"]), "size": row["size"]})).items()
        answer = served.client.post("/predict", json=row).json()
        assert number == answer["model"]["version"]
        assert prediction == pytest.approx(answer["prediction"], rel=1e-9)


def test_a_link_asks_what_its_fields_asked(served):
    asked = ask(served, {"zone": "3", "size": 42.5})["response"]
    link = asked["url"]["search"]
    assert link == "?zone=3&size=42.5"
    followed = ask(served, {"zone": None, "size": ""}, search=link, by_link=True)
    assert cards(followed) == cards(asked)


def test_a_page_without_a_question_asks_nothing(served):
    assert ask(served, {"zone": None, "size": ""}, by_link=True) is None


def test_versions_are_compared_side_by_side_and_only_the_champions_answer_is_logged(copy):
    with serving(copy) as served:
        number = others(served)[0]
        told = cards(ask(served, {"zone": "3", "size": 42.5}, compare=[str(number), str(served.champion.number)]))
        assert set(told) == {served.champion.number, number}
        own = served.project.registry.load(number).predict([ROW])[0]
        assert told[number] == pytest.approx(own, rel=1e-9)
    until, since = datetime(2100, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
    [row] = [row for part in served.project.prediction_log.read(since, until) for row in part]
    assert row.model_version == served.champion.number
    assert row.inputs == ROW


def test_a_version_that_does_not_exist_has_a_card_that_says_so(served):
    told = text(ask(served, {"zone": "3", "size": 42.5}, compare=["999"]))
    assert "version 999 does not exist" in told


def test_values_unlike_the_training_rows_are_answered_with_a_note(served):
    told = text(ask(served, {"zone": "77", "size": 1e6}))
    assert "zone 77 was not among the training rows" in told
    assert "size is outside the range of the training rows" in told
    link = "?zone=3&size=4&foo=1"
    assert "so ignored: foo" in text(ask(served, {"zone": None, "size": ""}, search=link, by_link=True))


def test_an_empty_form_says_at_each_field_that_it_is_needed(served):
    told = ask(served, {"zone": None, "size": ""})
    errors = {json.loads(each)["name"]: props["error"] for each, props in told["sideUpdate"].items()}
    assert errors == {"zone": "Zone is needed", "size": "Size is needed"}
    assert all(error in text(told["response"]["answer"]) for error in errors.values())


def test_where_it_may_be_missing_a_note_says_why_there_is_no_interval(served, monkeypatch):
    monkeypatch.setitem(vars(served.champion.model), "required", ())
    told = text(ask(served, {"zone": "3", "size": ""}))
    assert "no interval, for the model has hardly learnt from rows without size" in told
    assert "left empty, so taken as missing: size" in told
    assert "90% interval" not in told


def test_a_value_that_cannot_be_is_told_in_the_place_of_the_number(served, monkeypatch):
    model = served.champion.model
    limited = tuple(replace(item, least=0.0, most=100.0) if item.name == "size" else item for item in model.signature)
    monkeypatch.setitem(vars(model), "signature", limited)
    told = text(ask(served, {"zone": "3", "size": -5}))
    assert "Out of range" in told and "size -5: it may be 0 to 100" in told
    assert "90% interval" not in told and "What moved the prediction" not in told
    assert "Out of range" not in text(ask(served, {"zone": "3", "size": 42.5}))


def test_all_values_that_cannot_be_used_are_told_at_their_fields(served):
    told = ask(served, {"zone": "three", "size": "large"})
    errors = {json.loads(each)["name"]: props["error"] for each, props in told["sideUpdate"].items()}
    assert errors["zone"] == "Zone must be a whole number: 'three' is not one"
    assert errors["size"] == "Size must be a number: 'large' is not one"
    assert all(error in text(told["response"]["answer"]) for error in errors.values())


def test_an_unexpected_failure_is_told_without_its_reason_and_logged_with_it(copy, monkeypatch, caplog):
    def fail(self, columns):
        raise RuntimeError("secret inside")

    with serving(copy) as served:
        monkeypatch.setattr(type(served.champion.model), "contributions", fail)
        told = text(ask(served, {"zone": "3", "size": 42.5}))
    assert "the server's log has the reason" in told and "secret" not in told
    assert "secret inside" in caplog.text
    assert re.search(r"request_id: (\w{32})", told)[1] in caplog.text


def follow(served, shown=None, values=()):
    states = [state("shown", "data", shown), *fields_state(dict(values))]
    return call(served, [("fields", "children"), ("shown", "data")], [state("watch", "n_intervals", 1)], states)


def test_a_page_follows_a_swap_of_the_champion_and_keeps_what_was_filled_in(copy):
    with serving(copy) as served:
        shown, number = served.champion.number, others(served)[0]
        values = {"zone": "4", "size": 7.5}
        assert follow(served, shown, values) is None
        served.project.registry.promote(number, reason="A test.", at=datetime.now(UTC))
        served.predictor.check_registry()
        told = follow(served, shown, values)
        assert told["response"]["shown"]["data"] == number
        values = {
            each["props"]["id"]["name"]: each["props"]["value"] for each in told["response"]["fields"]["children"]
        }
        assert values == {"zone": "4", "size": 7.5}
        assert f"version {number}" in told["sideUpdate"]["who"]["children"]
        [(answered, _)] = cards(ask(served, {"zone": "4", "size": 7.5})).items()
        assert answered == number


def test_without_a_champion_the_page_says_what_to_do_and_waits(served_empty):
    page = text(served_empty.client.get("/_dash-layout").json())
    problem = served_empty.predictor.last_check.problem
    assert "mlops-assets run" in problem and problem in page
    assert ask(served_empty, {"zone": "3", "size": 42.5}) is None


def test_a_page_opened_before_the_first_look_at_the_registry_says_later_what_that_found(served_empty, monkeypatch):
    found = served_empty.predictor.problem
    monkeypatch.setattr(served_empty.predictor, "last_check", None)
    assert STARTING in text(served_empty.client.get("/_dash-layout").json())
    monkeypatch.undo()
    assert follow(served_empty)["sideUpdate"] == {"problem": {"children": found}}


def test_versions_to_compare_are_offered_without_the_champion(served):
    told = call(served, [("compare", "data")], [state("shown", "data", served.champion.number)], [])
    assert [int(each["value"]) for each in told["response"]["compare"]["data"]] == others(served)[::-1]


def test_where_keys_are_needed_the_form_needs_one_too(serve):
    served = serve(MLOPS_API_KEYS=KEY)
    for method, path in (("GET", "/"), ("GET", "/_dash-layout"), ("POST", CALL)):
        assert served.error(method, path, json={})["status"] == 401
    basic = base64.b64encode(f"me:{KEY}".encode()).decode()  # what a browser sends after it has asked
    served.client.headers["Authorization"] = f"Basic {basic}"
    assert served.client.get("/").status_code == 200
    told = ask(served, {"zone": "3", "size": 42.5})
    assert cards(told)
    assert '\\"X-API-Key: $MLOPS_API_KEY\\"' in text(told) and KEY not in text(told)


def test_scripts_do_not_count_as_requests_for_the_rate_limit(serve):
    served = serve(MLOPS_SERVE_RATE="1")
    for place in re.findall(r'src="([^"]+)"', served.client.get("/").text):
        assert served.client.get(place).status_code == 200
