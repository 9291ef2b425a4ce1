"""Files of dashboards: read, expanded into pages, and refused with a message that names the place."""

import pytest

from mlops_assets.dashboards.boards import BoardFile, parse, read_files
from mlops_assets.errors import SpecError

ONE = """
title: Mine
charts:
  sizes: {title: Sizes, source: things, type: line}
"""
TWO = """
title: $title
pages:
  first: {title: First, jobs: [a, b]}
  second: {title: Second, jobs: [c]}
charts:
  runs: {title: Runs of $title, source: runs, type: line, filters: {job: $jobs}}
"""


def refusal(text, name="mine"):
    with pytest.raises(SpecError) as caught:
        parse(BoardFile(name, text))
    return str(caught.value)


def test_a_file_is_one_page_of_its_own_name():
    (page,) = parse(BoardFile("mine", ONE))
    assert (page.slug, page.file, page.board.title, list(page.board.charts)) == ("mine", "mine", "Mine", ["sizes"])


def test_a_file_with_pages_is_one_of_each_with_its_values():
    first, second = parse(BoardFile("both", TWO))
    assert [first.slug, second.slug, first.file] == ["first", "second", "both"]
    assert first.board.charts["runs"].title == "Runs of First"
    assert first.board.charts["runs"].filters["job"].one_of == ("a", "b")
    assert second.board.charts["runs"].filters["job"].one_of == ("c",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE.replace("line", "lines"), "mine.yaml: chart sizes, key type: input should be 'line'"),
        (ONE.replace("type: line", "type: line, colour: red"), "mine.yaml: chart sizes, key colour: is not a key"),
        (ONE.replace("type: line", "type: pie"), "mine.yaml: chart sizes: a pie needs x"),
        (ONE.replace("title: Mine", "titel: Mine"), "mine.yaml: key title: field required"),
        (ONE.replace("charts:", "charts: ["), "mine.yaml is not valid YAML"),
        ("- a list", "mine.yaml must be a mapping"),
        (TWO.replace("$jobs", "$job"), "mine.yaml, page first: $job is not given (the page gives title, jobs)"),
        (TWO.replace("first:", "First!:"), "'First!' cannot name a dashboard"),
        (ONE.replace("Mine", "x" * 300_000), "mine.yaml is longer than 200,000 characters"),
    ],
)
def test_what_is_wrong_is_said_with_file_chart_and_key(text, message):
    assert message in refusal(text)


def test_a_name_must_be_able_to_stand_in_an_address():
    assert "'../etc' cannot name a dashboard" in refusal(ONE, "../etc")


def test_yaml_cannot_make_python_objects():
    assert "is not valid YAML" in refusal("title: !!python/object/apply:os.getcwd []")


def test_files_of_a_folder_stand_beside_the_shipped_ones_and_replace_them(tmp_path):
    (tmp_path / "mine.yaml").write_text(ONE)
    (tmp_path / "overview.yml").write_text(ONE.replace("Mine", "My overview"))
    (tmp_path / "plots.py").write_text("")
    files = read_files(tmp_path)
    assert set(files) == set(read_files(None)) | {"mine"}
    assert parse(files["overview"])[0].board.title == "My overview"


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(SpecError, match="MLOPS_DASHBOARDS: .*nowhere is not a folder"):
        read_files(tmp_path / "nowhere")


def aliases(levels):
    """A list of nine, of nine of these, and so on, and a page that it would be copied for."""
    lines = [f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels + 1)]
    return "\n".join(["title: T", "a0: &a0 [x]", *lines, "pages: {one: {a: 1}}"])


NODES = "there are more than 5,000 values"
FILLED_IN = "what is put into its pages may be longer than 5,000,000 characters"
HOSTILE = {
    "aliases": (aliases(7), "line 3: aliases (*a0) are not taken"),
    "a merge": ("a: &a {x: 1}\nb: {<<: *a}", "line 2: aliases"),
    "many values": ("a: [" + "1," * 90_000 + "1]", NODES),
    "pages times values": (
        "title: t\npages: {" + ",".join(f"p{n}: {{a: 1}}" for n in range(90)) + "}\nx: [" + "y," * 4_000 + "1]",
        NODES,
    ),
    "a list in many places": ("x: [" + "$a," * 2_000 + "1]\npages: {one: {a: [" + "1," * 2_000 + "1]}}", FILLED_IN),
    "a text in many places": (
        f"title: '{'$a' * 40_000}'\npages: {{one: {{a: '{'x' * 90_000}'}}}}",
        FILLED_IN,
    ),
    "many pages": ("pages: {" + ",".join(f"p{n}: {{}}" for n in range(400)) + "}", "400 pages are more than 100"),
    "depth": ("a: " + "[" * 100 + "]" * 100, "there are more than 20 levels"),
    "depth without end": ("a: " + "[" * 100_000, "mine.yaml"),
    "a number by sixties": ("a: 1" + ":1" * 90_000, "put a text of more than 1,000 characters in quotes"),
    "the same in quotes": (f'a: !!int "1{":1" * 90_000}"', "put a text of more than 1,000 characters in quotes"),
    "a date that there is not": ("a: 2001-99-99", "holds a value that cannot be read"),
    "a type of Python": ("a: !!python/object/apply:os.system [ls]", "is not valid YAML"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_text_made_to_keep_the_server_busy_is_refused(kind):
    text, message = HOSTILE[kind]
    assert message in refusal(text)
