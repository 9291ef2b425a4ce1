"""Files of a web server, with a real one on the loopback."""

import pytest

from mlops_assets.errors import BadTable, NotPublished, SourceError, SourceUnreachable


@pytest.fixture
def tagged(trips):
    """A reply with rows and an ETag."""
    return {"body": trips.encode(), "headers": {"ETag": '"1"'}}


@pytest.fixture
def source(make_spec, open_rows, web):
    return open_rows(make_spec({"kind": "files", "uri": web.url + "/{period}.csv"}))


def test_published_periods_are_those_that_the_server_has(source, web, tagged):
    web.serve("/2024-01.csv", tagged)
    web.serve("/2024-02.csv", {"status": 403})
    web.serve("/2024-03.csv", {"status": 410})
    assert list(source.partitions()) == ["2024-01"]
    assert source.read("2024-01").num_rows == 2
    for period in ("2024-02", "2024-03", "2024-04"):
        with pytest.raises(NotPublished, match=f"period {period} is not published"):
            source.read(period)


def test_asking_for_versions_downloads_nothing(source, web, tagged):
    web.serve("/2024-01.csv", tagged)
    source.partitions()
    assert ("GET", "/2024-01.csv") not in web.seen


def test_an_unchanged_period_is_downloaded_once_even_by_another_source(source, web, make_spec, open_rows, tagged):
    web.serve("/2024-01.csv", tagged)
    again = open_rows(make_spec({"kind": "files", "uri": web.url + "/{period}.csv"}))
    assert source.read("2024-01") == source.read("2024-01") == again.read("2024-01")
    assert web.count("GET") == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"1"'}, {"ETag": '"2"'}),
        (
            {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
            {"Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
        ),
        ({}, {}),
    ],
    ids=["ETag", "Last-Modified", "neither"],
)
def test_a_changed_period_has_a_new_version_and_is_downloaded_anew(source, web, tmp_path, before, after, tagged):
    web.serve("/2024-01.csv", {"body": tagged["body"], "headers": before})
    first = source.partitions()
    assert source.read("2024-01").num_rows == 2
    assert source.partitions() == first
    web.serve("/2024-01.csv", {"body": tagged["body"] + b"2024-01-09,5,1,c,z\n", "headers": after})
    assert source.partitions() != first
    assert source.read("2024-01").num_rows == 3
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_refuses_head_is_asked_by_get(source, web, status, tagged):
    web.serve("/2024-01.csv", tagged)
    web.serve("/2024-01.csv", {"status": status}, method="HEAD")
    assert list(source.partitions()) == ["2024-01"]
    assert source.read("2024-01").num_rows == 2


@pytest.mark.parametrize("busy", [{"status": 503}, {"status": 500}, {"status": 429, "headers": {"Retry-After": "9"}}])
def test_a_busy_server_is_asked_again(source, web, waits, busy, tagged):
    web.serve("/2024-01.csv", busy, busy, tagged)
    assert source.read("2024-01").num_rows == 2
    assert len(waits) == 4
    assert ("headers" not in busy) or set(waits) == {9.0}


def test_a_server_that_stays_busy_is_unreachable(source, web):
    web.serve("/2024-01.csv", {"status": 503})
    with pytest.raises(SourceUnreachable, match=r"period 2024-01: 127.0.0.1:\d+ answered 503 \(tries: 3\)"):
        source.partitions()


def test_a_body_that_ends_too_early_is_fetched_again(source, web, tagged):
    cut = {"body": bytes(3 << 20), "headers": tagged["headers"], "sent": 2 << 20}  # some of it reaches the disk
    web.serve("/2024-01.csv", tagged, method="HEAD")
    web.serve("/2024-01.csv", cut, cut, tagged, method="GET")
    assert source.read("2024-01").num_rows == 2


def test_a_body_that_always_ends_too_early_leaves_no_copy(source, web, tmp_path, tagged):
    web.serve("/2024-01.csv", {"body": tagged["body"], "headers": tagged["headers"], "sent": 20})
    with pytest.raises(SourceUnreachable, match="refused or broke off the connection"):
        source.read("2024-01")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_copy_is_fetched_anew_by_the_next_try(source, web, tagged):
    web.serve("/2024-01.csv", tagged, method="HEAD")
    web.serve("/2024-01.csv", {"headers": tagged["headers"]}, tagged, method="GET")
    with pytest.raises(BadTable, match="period 2024-01 cannot be read: the file is empty"):
        source.read("2024-01")
    assert source.read("2024-01").num_rows == 2


def test_a_server_that_hangs_is_unreachable_and_says_what_to_change(make_spec, open_rows, web):
    web.serve("/2024-01.csv", {"hangs": True})
    source = open_rows(make_spec({"kind": "files", "uri": web.url + "/{period}.csv"}), timeout=0.1, retries=1)
    wanted = r"period 2024-01: 127.0.0.1:\d+ did not answer within 0.1 s \(tries: 2\): .*MLOPS_HTTP_TIMEOUT"
    with pytest.raises(SourceUnreachable, match=wanted):
        source.read("2024-01")
    assert web.count("HEAD") == 2


def test_a_server_that_is_not_there_is_unreachable(make_spec, open_rows, web):
    url = web.url
    web.server.server_close()
    with pytest.raises(SourceUnreachable, match="refused or broke off the connection .*MLOPS_SOURCE_URI"):
        open_rows(make_spec({"kind": "files", "uri": url + "/{period}.csv"})).read("2024-01")


def test_a_server_that_denies_every_period_is_an_error(source, web):
    for period in ("2024-01", "2024-02", "2024-03"):
        web.serve(f"/{period}.csv", {"status": 403})
    with pytest.raises(SourceError, match="denies access to every period from 2024-01 to 2024-03"):
        source.partitions()


@pytest.mark.parametrize("status", [400, 401])
def test_other_refusals_are_errors_at_once(source, web, waits, status):
    web.serve("/2024-01.csv", {"status": status})
    with pytest.raises(SourceError, match=f"answered {status}"):
        source.read("2024-01")
    assert waits == []


def test_one_file_with_all_periods_is_downloaded_and_split(make_spec, open_rows, web, tagged):
    web.serve("/trips.csv", tagged)
    source = open_rows(make_spec({"kind": "files", "uri": web.url + "/trips.csv"}))
    assert [source.read(period).num_rows for period in source.partitions()] == [1, 1]
    assert web.count("GET") == 1


@pytest.mark.parametrize(("status", "word"), [(404, "missing"), (403, "denied")])
def test_one_file_that_is_not_there_is_an_error_and_not_an_unpublished_period(make_spec, open_rows, web, status, word):
    web.serve("/trips.csv", {"status": status})
    with pytest.raises(SourceError, match=f"the file of source.uri is {word}") as caught:
        open_rows(make_spec({"kind": "files", "uri": web.url + "/trips.csv"})).read("2024-01")
    assert not isinstance(caught.value, NotPublished)


def test_redirects_are_followed(source, web, tagged):
    web.serve("/2024-01.csv", {"status": 302, "headers": {"Location": "/moved.csv"}})
    web.serve("/moved.csv", tagged)
    assert source.read("2024-01").num_rows == 2
