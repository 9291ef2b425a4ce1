"""Documents: the same content as Markdown and as one HTML page, with nothing in it taken for markup."""

import re

from mlops_assets.core.report.document import Code, Document, Paragraph, Picture, Points, Section, table

SVG = b"<svg/>"
DOCUMENT = Document(
    "A <title>",
    "In short & sweet.",
    (
        Section("Words", (Paragraph("a * b < c"), Points(("one", "two | three")))),
        Section("Numbers", (table(("name", "value"), [("a|b", 1.5), ("none", None)]), Code("x < y\n*z*"))),
        Section("Picture", (Picture(SVG, "bars"),)),
    ),
)


def test_markdown_has_every_part_once():
    assert DOCUMENT.markdown().splitlines() == [
        "# A \\<title\\>",
        "",
        "In short & sweet.",
        "",
        "## Words",
        "",
        "a \\* b \\< c",
        "",
        "- one",
        "- two | three",
        "",
        "## Numbers",
        "",
        "| name | value |",
        "| --- | --- |",
        "| a/b | 1.5 |",
        "| none |  |",
        "",
        "```",
        "x < y",
        "*z*",
        "```",
        "",
        "## Picture",
        "",
        "![bars](data:image/svg+xml;base64,PHN2Zy8+)",
    ]


def test_html_escapes_what_is_no_markup_of_its_own():
    page = DOCUMENT.html()
    assert "<title>A &lt;title&gt;</title>" in page and "<h1>A &lt;title&gt;</h1>" in page
    assert "<pre>x &lt; y\n*z*</pre>" in page
    assert "<td>a|b</td><td>1.5</td>" in page
    assert "<script" not in page and not re.findall('(?:src|href)="(?!data:)', page)


def test_every_tag_that_is_opened_is_closed():
    page = DOCUMENT.html()
    for tag in (
        "html",
        "head",
        "body",
        "h1",
        "h2",
        "p",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "pre",
    ):
        assert len(re.findall(f"<{tag}[ >]", page)) == page.count(f"</{tag}>") > 0, tag
