"""Whatever a dataset's YAML holds: it is a spec, or one SpecError says what is wrong."""

import copy

import pytest
import yaml
from hypothesis import strategies as st

from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.errors import SpecError
from mlops_assets_tests.properties import JSON, for_all
from mlops_assets_tests.tiny import TINY

WORDS = [
    "at",
    "town",
    "zone",
    "size",
    "price",
    "at_hour",
    "target",
    "row_id",
    "new",
    "a b",
    "",
    "town/3",
    "size/10",
    "size/0",
]
SCALARS = (
    st.sampled_from(
        [*WORDS, "time", "text", "integer", "2024-13", "2023-12", "files", "sql", "${NAME}", "hour", "holiday"]
    )
    | st.sampled_from([0, -1, 1, 0.5, 10**30, float("nan"), float("inf"), True, None])
    | st.dates()
)
PARTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=6,
)
FULL = TINY | {
    "key": ["town"],
    "rows": [
        {"name": "small", "column": "size", "min": 0, "max": 50},
        {"name": "known", "column": "town", "one_of": ["a"]},
    ],
    "features": TINY["features"] | {"derived": {"rate": {"function": "ratio", "of": ["size", "zone"]}}},
    "window": {"train_periods": 3},
}


def places(document, path=()):
    """The path of every value in a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def with_change(document, path, change, value):
    """The document in which the value at a place is replaced, removed or joined by another."""
    document = copy.deepcopy(document)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if change == "remove":
        del holder[path[-1]]
    elif change == "replace":
        holder[path[-1]] = value
    elif isinstance(holder, dict):
        holder["new" if isinstance(value, dict | list) else value] = holder[path[-1]]
    else:
        holder.append(value)
    return document


@st.composite
def documents(draw):
    """The YAML of a dataset with some changes anywhere."""
    document = FULL
    for _ in range(draw(st.integers(1, 4))):
        if paths := list(places(document)):
            change = draw(st.sampled_from(["replace", "remove", "add"]))
            document = with_change(document, draw(st.sampled_from(paths)), change, draw(PARTS))
    return document


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """A function that reads a document as a user's file."""
    path = tmp_path_factory.mktemp("dataset") / "changed.yaml"

    def read(document, **options) -> DatasetSpec | None:
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        try:
            return load_dataset(str(path), {"NAME": "value"}, **options)
        except SpecError as error:
            assert str(error)
            return None

    return read


def test_what_is_changed_below_is_a_spec(check):
    assert check(FULL).name == "tiny"


@for_all(300, document=documents())
def test_a_changed_dataset_is_a_spec_or_an_error_that_says_why(check, document):
    spec = check(document)
    if spec:  # and it holds together
        assert set(spec.inputs()) <= set(spec.columns) and spec.inputs()
        assert not set(spec.target.columns) & {*spec.features.categories, *spec.features.numeric}


@for_all(document=JSON | st.dictionaries(st.sampled_from(list(FULL)), PARTS))
def test_anything_else_is_an_error_that_says_why(check, document):
    assert check(document) is None


@for_all(document=documents())
def test_moved_elsewhere_it_is_so_too(check, document):
    spec = check(document, source_uri="elsewhere_{period}.csv")
    assert spec is None or "elsewhere_{period}.csv" in (
        getattr(spec.source, "uri", ""),
        getattr(spec.source, "url", ""),
    )
