"""The tiny dataset's document after a change: loaded, or what is said of it."""

import copy

import pytest
import yaml

from mlops_assets.dataset import load_dataset
from mlops_assets.errors import SpecError


@pytest.fixture
def load(tmp_path, tiny):
    """A function that loads the tiny dataset after a change of its document."""

    def load_changed(change=None, env=None, source_uri=None):
        document = copy.deepcopy(tiny)
        if change:
            change(document)
        path = tmp_path / "shop.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return load_dataset(str(path), env or {}, source_uri)

    return load_changed


@pytest.fixture
def problem(load):
    """A function that gives the message of a document that is wrong."""

    def message(change, env=None, source_uri=None):
        with pytest.raises(SpecError) as error:
            load(change, env, source_uri)
        assert str(error.value).startswith(("shop.yaml", "MLOPS_SOURCE_URI"))
        return str(error.value)

    return message
