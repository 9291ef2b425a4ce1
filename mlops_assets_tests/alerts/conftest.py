"""An instance in memory, and the alert sensor on it with a real mail server."""

import dagster as dg
import pytest

from mlops_assets_tests.alerts.mailroom import Office, open_project


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def make_office(instance, tmp_path, tiny, smtp_server):
    return lambda **changes: Office(instance, open_project(tmp_path, tiny, smtp_server.port, changes))


@pytest.fixture
def office(make_office):
    return make_office()
