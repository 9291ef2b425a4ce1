"""What all tests share. It stays light: a test of the pure core is to start in under a second.

The fixtures stand in `fixtures/`, by subject; those modules import what is heavy where a fixture needs it.
"""

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mlops_assets_tests.warm import VARIABLE, warm_python

pytest_plugins = tuple(
    f"mlops_assets_tests.fixtures.{name}" for name in ("rows", "stores", "mail", "webhooks", "homes", "own_classes")
)
HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """One warm Python for the processes of all tests' processes; it warms up when the first one starts.

    Signals that `nohup` or a shell's `&` has let be ignored are heard again: processes of tests would ignore them too.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        stack = ExitStack()
        stack.enter_context(warm_python())
        config.add_cleanup(stack.close)


@pytest.fixture(scope="session", autouse=True)
def quick_processes() -> Iterator[None]:
    """Whoever starts Python here starts the stand-in; and no step starts four programs that repeat what it prints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", os.environ[VARIABLE])
        if "dagster" in sys.modules:
            from mlops_assets.logs import tell_all_that_steps_print

            tell_all_that_steps_print()
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded here stays: the collector of garbage need not go through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files beside this one go first: they run the whole project, and one of them must not be left for the end."""
    if not config.pluginmanager.has_plugin("randomly"):
        items.sort(key=lambda item: item.path.parent != HERE)
