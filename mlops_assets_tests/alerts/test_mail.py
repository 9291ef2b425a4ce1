"""What a mail says, in text and in HTML."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest

from mlops_assets.alerts.alert import Alert, Bar, Bars, Change, Comparison, Fact, Link
from mlops_assets.alerts.mail import compose
from mlops_assets.alerts.outbox import Letter
from mlops_assets.alerts.wording import LONGEST_DIGEST

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
RUN = Link("run", "http://dagster/runs/1?a=1&b=2")


def alert(number=1, kinds=("failure",), **changes):
    given = {
        "title": f"hyperparameters[Type{number}] failed",
        "summary": "What failed is <missing>.",
        "cause": "no rows where x < 1 & y > 2",
        "comparison": Comparison((Change("Champion", "Lasso", "Ridge"), Change("Gain", "", "2 %"))),
        "chart": Bars("RMSE", (Bar("Ridge", 5.1, "5.1 min", stands_out=True), Bar("Lasso", 10.2, "10.2 min"))),
        "advice": "Repair it & make it again:",
        "button": Link("Open the dashboard", "http://boards/?board=overview"),
        "facts": (Fact("Started by", "schedule"), Fact("RMSE (test)", "5.41 min -> 5.32 min")),
        "details": ("Lasso failed: it is <singular>", "Ridge: fine"),
        "command": "dagster asset materialize --select 'a b'",
        "links": (RUN, Link("MLflow", "http://mlflow")),
    }
    return Alert(key=f"run:{number}", kinds=kinds, happened_at=AT, **given | changes)


def mail(*alerts, **changes):
    return compose(Letter("id", "ann@example.com", alerts, 0, **changes), "trips")


def as_text(html):
    """What a reader of the HTML sees, links included."""
    shown = re.sub(r'<a [^>]*href="([^"]*)">([^<]*)</a>', r"\2 \1", html.split("<body", 1)[1])
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())


def test_a_mail_of_one_alert_says_everything_in_text_and_in_html():
    one = mail(alert())
    assert (one.to, one.subject, one.key) == ("ann@example.com", "[mlops trips] hyperparameters[Type1] failed", "id")
    expected = [alert().title, alert().summary, alert().cause, alert().advice, alert().command, *alert().details]
    expected += ["Lasso", "2 %", "10.2 min", alert().button.url]
    expected += [part for fact in alert().facts for part in (fact.name, fact.value)]
    expected += [part for link in alert().links for part in (link.name, link.url)]
    for said in expected:
        assert said in one.text
        assert said in as_text(one.html)


def test_html_is_escaped():
    one = mail(alert(cause="<script>x</script>", links=(Link("run", 'http://x/"><b>'),)))
    assert "<script>" not in one.html and "<b>" not in one.html and "<missing>" not in one.html


def test_html_leaves_the_colours_of_text_and_page_to_the_readers_theme():
    page = mail(alert(button=None)).html
    assert 'content="light dark"' in page
    assert not re.search(r"(?<!-)\bcolor:", page)
    assert len(re.findall("background:", page)) == 2  # the bars


def test_what_an_alert_does_not_have_leaves_no_empty_heading():
    left = {"summary": "", "comparison": None, "chart": None, "advice": "", "button": None}
    one = mail(alert(facts=(), details=(), command=None, links=(), **left))
    assert one.text == f"{alert().title}\n{'=' * len(alert().title)}\n\nCause: {alert().cause}\n"
    assert not re.search("<table|<ul|<pre|<a ", one.html)


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
