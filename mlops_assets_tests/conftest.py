"""What all tests share. It stays light: a test of the pure core is to start in under a second.

The fixtures stand in `fixtures/`, by subject; those modules import what is heavy where a fixture needs it.
"""

from pathlib import Path

import pytest

pytest_plugins = tuple(
    f"mlops_assets_tests.fixtures.{name}" for name in ("rows", "stores", "mail", "webhooks", "homes", "own_classes")
)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files beside this one go first: they run the whole project, and one of them must not be left for the end."""
    if not config.pluginmanager.has_plugin("randomly"):
        items.sort(key=lambda item: item.path.parent != HERE)
