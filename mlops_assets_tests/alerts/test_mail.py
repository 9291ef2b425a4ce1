"""What a mail says, in text and in HTML."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest

from mlops_assets.alerts.alert import Alert, Fact, Link
from mlops_assets.alerts.mail import LONGEST_DIGEST, compose
from mlops_assets.alerts.outbox import QueuedMail

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
RUN = Link("run", "http://dagster/runs/1?a=1&b=2")


def alert(number=1, kinds=("failure",), **changes):
    given = {
        "title": f"hyperparameters[Type{number}] failed",
        "cause": "no rows where x < 1 & y > 2",
        "facts": (Fact("Started by", "schedule"), Fact("RMSE (test)", "5.41 min -> 5.32 min")),
        "details": ("Lasso failed: it is <singular>", "Ridge: fine"),
        "command": "dagster asset materialize --select 'a b'",
        "links": (RUN, Link("MLflow", "http://mlflow")),
    }
    return Alert(key=f"run:{number}", kinds=kinds, happened_at=AT, **given | changes)


def mail(*alerts, **changes):
    return compose(QueuedMail("id", "ann@example.com", alerts, 0, **changes), "trips")


def as_text(html):
    """What a reader of the HTML sees, links included."""
    shown = re.sub(r'<a href="([^"]*)">([^<]*)</a>', r"\2 \1", html.split("<body", 1)[1])
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())


def test_a_mail_of_one_alert_says_everything_in_text_and_in_html():
    one = mail(alert())
    assert (one.to, one.subject, one.key) == ("ann@example.com", "[mlops trips] hyperparameters[Type1] failed", "id")
    expected = [alert().title, alert().cause, alert().command, *alert().details]
    expected += [part for fact in alert().facts for part in (fact.name, fact.value)]
    expected += [part for link in alert().links for part in (link.name, link.url)]
    for said in expected:
        assert said in one.text
        assert said in as_text(one.html)


def test_html_is_escaped():
    one = mail(alert(cause="<script>x</script>", links=(Link("run", 'http://x/"><b>'),)))
    assert "<script>" not in one.html and "<b>" not in one.html


def test_html_leaves_colours_to_the_readers_theme():
    page = mail(alert()).html
    assert 'content="light dark"' in page
    assert not re.search(r"(?<!-)\b(color|background(-color)?):", page)


def test_what_an_alert_does_not_have_leaves_no_empty_heading():
    one = mail(alert(facts=(), details=(), command=None, links=()))
    assert one.text == f"{alert().title}\n{'=' * len(alert().title)}\n{alert().cause}\n"
    assert not re.search("To try|<table|<ul|<pre", one.html)


def test_a_digest_lists_each_alert_with_its_cause_its_command_and_its_links():
    digest = mail(*(alert(number) for number in range(6)), alert(7, ("champion", "success"), command=None))
    assert digest.subject == "[mlops trips] 7 messages (failure 6, champion 1)"
    for page in (digest.text, as_text(digest.html)):
        assert all(f"hyperparameters[Type{number}] failed (2026-03-01 12:30 UTC)" in page for number in (0, 5, 7))
        assert page.count(alert().cause) == page.count(RUN.url) == 7
        assert page.count(alert().command) == 6


def test_a_digest_has_an_end_and_says_what_it_leaves_out():
    digest = mail(*(alert(number) for number in range(LONGEST_DIGEST + 3)))
    for page in (digest.text, digest.html):
        assert page.count("UTC") == LONGEST_DIGEST
        assert "... and 3 more" in page


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 older message was not sent"), (4, "4 older messages were not sent")]
)
def test_a_mail_says_how_many_older_ones_were_given_up(count, said):
    one = mail(alert(), expired=tuple(range(count)))
    assert said in one.text and said in one.html


def test_a_subject_stays_short():
    assert len(mail(alert(title="x" * 500)).subject) == 150
