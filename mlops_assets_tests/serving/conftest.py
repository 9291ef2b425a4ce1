"""Servers of the shop: one that tests share, one without a champion, and any number with other settings."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from mlops_assets_tests.homes import Home
from mlops_assets_tests.serving.served import Served, serving


@pytest.fixture(scope="session")
def served(shop, tmp_path_factory) -> Iterator[Served]:
    """A server of the shop, with settings as they are by default; its log of answers is not in the shop."""
    with serving(shop, MLOPS_DATABASE_URL=f"sqlite:///{tmp_path_factory.mktemp('served')}/own.db") as served:
        yield served


@pytest.fixture
def serve(shop, tmp_path) -> Iterator[Callable[..., Served]]:
    """A function that serves the shop with other settings; its log of answers is not in the shop."""
    own = {"MLOPS_DATABASE_URL": f"sqlite:///{tmp_path}/own.db"}
    with ExitStack() as stack:
        yield lambda *dashboards, **settings: stack.enter_context(serving(shop, *dashboards, **own | settings))


@pytest.fixture
def copy(shop, tmp_path) -> Home:
    """A copy of the shop's registry, in which a test may move the alias; its models are those of the shop."""
    shutil.copy(shop.folder / "mlflow.db", tmp_path)
    return Home(tmp_path, **(shop.env | {"MLOPS_HOME": str(tmp_path)}))


@pytest.fixture(scope="session")
def rows(served) -> list[dict]:
    """Rows that the champion is checked by: as callers send them."""
    return [dict(row) for row in served.champion.model.golden.rows]


@pytest.fixture(scope="session")
def served_empty(new_shop) -> Iterator[Served]:
    """A server of a shop in which nothing was made yet."""
    with serving(new_shop()) as served:
        yield served
