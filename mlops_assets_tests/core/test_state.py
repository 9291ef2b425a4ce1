"""Fitted state on disk: what is written comes back, and nothing else is ever built."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from mlops_assets.core.state import load_state, save_state
from mlops_assets.errors import ModelError


@dataclass(frozen=True)
class Leaf:
    values: np.ndarray
    name: str | None


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    by_name: dict[str, np.ndarray]
    mean: float
    known: bool


TREE = Tree(
    (Leaf(np.arange(3), "a"), Leaf(np.array(["x", None, "ü"], object), None)),
    {"class": np.array([0.1, np.nan, -np.inf]), "map": np.zeros((0, 2), np.float32)},
    1 / 3,
    True,
)
CLASSES = (Tree, Leaf)


def test_state_comes_back_with_its_types_and_every_bit(tmp_path):
    save_state(TREE, tmp_path, "tree")
    tree = load_state(tmp_path, "tree", CLASSES)
    assert isinstance(tree, Tree) and isinstance(tree.leaves, tuple)
    assert (tree.mean, tree.known, tree.leaves[0].name, tree.leaves[1].name) == (1 / 3, True, "a", None)
    pairs = [(leaf.values, other.values) for leaf, other in zip(tree.leaves, TREE.leaves, strict=True)]
    for loaded, saved in pairs + [(tree.by_name[name], values) for name, values in TREE.by_name.items()]:
        assert (loaded.dtype, loaded.shape) == (saved.dtype, saved.shape)
        np.testing.assert_array_equal(loaded, saved)


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path):
    save_state(TREE, tmp_path, "first")
    save_state(load_state(tmp_path, "first", CLASSES), tmp_path, "second")
    for suffix in (".json", ".npz"):
        assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()


def test_a_class_that_is_not_allowed_is_never_built(tmp_path):
    save_state(TREE, tmp_path, "tree")
    with pytest.raises(ModelError, match="saved tree is damaged or of another version: 'Leaf'"):
        load_state(tmp_path, "tree", (Tree,))


def test_pickled_arrays_are_refused(tmp_path):
    save_state(TREE, tmp_path, "tree")
    np.savez(tmp_path / "tree.npz", a0=np.array([{"run": "me"}], object))
    with pytest.raises(ModelError, match="allow_pickle=False"):
        load_state(tmp_path, "tree", CLASSES)


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_bytes_cut_off_anywhere_are_damage(tmp_path, suffix):
    save_state(TREE, tmp_path, "tree")
    path = tmp_path / f"tree{suffix}"
    content = path.read_bytes()
    for length in range(0, len(content), 17):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match="saved tree is damaged"):
            load_state(tmp_path, "tree", CLASSES)
    path.unlink()
    with pytest.raises(ModelError, match="saved tree is damaged"):
        load_state(tmp_path, "tree", CLASSES)


@pytest.mark.parametrize(
    "document",
    [[], {}, {"class": "Tree"}, {"class": "Tree", "fields": []}, {"class": ["Tree"], "fields": {}}, {"array": "a0"}],
)
def test_a_foreign_tree_is_damage(tmp_path, document):
    save_state(TREE, tmp_path, "tree")
    (tmp_path / "tree.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="saved tree is damaged"):
        load_state(tmp_path, "tree", CLASSES)
