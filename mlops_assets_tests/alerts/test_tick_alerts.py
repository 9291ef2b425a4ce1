"""A schedule or sensor that fails is told once, with the reason and a command to paste."""

import sys
import sysconfig

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.errors import SensorExecutionError, user_code_error_boundary
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._utils.error import serializable_error_info_from_exc_info

from mlops_assets_tests.alerts.mailroom import MINUTE, Office, open_project, subjects


def as_written_down(error):
    """An error of a sensor's function, as the daemon records it."""
    try:
        with user_code_error_boundary(SensorExecutionError, lambda: "Error occurred during the execution of a sensor"):
            raise error
    except SensorExecutionError:
        return serializable_error_info_from_exc_info(sys.exc_info())


@pytest.fixture
def office(tmp_path, tiny, smtp_server):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:  # one in memory keeps no ticks
        yield Office(instance, open_project(tmp_path, tiny, smtp_server.port))


def tick(office, status, error=None, name="new_data"):
    """A tick of a sensor of this code location, a minute later."""
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("mlops"), "r"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    if not office.instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        office.instance.add_instigator_state(state)
    office.instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=name,
            instigator_type=InstigatorType.SENSOR,
            status=status,
            timestamp=(office.now + MINUTE).timestamp(),
            selector_id=state.selector_id,
            error=error and as_written_down(error),
        )
    )
    office.tick()


def test_a_source_wrongly_configured_is_mailed_with_its_file_and_a_command_to_paste(office, smtp_server):
    tick(office, TickStatus.FAILURE, dg.Failure("the source denies access to every period", allow_retries=False))
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] new_data fails"
    settings = office.project.settings
    said = [
        "the source denies access to every period",
        "Source: file tiny_{period}.csv",
        f"MLOPS_HOME={settings.home_path} {sysconfig.get_path('scripts')}/mlops-assets doctor",
        "http://dagster/locations/mlops/sensors/new_data",
    ]
    assert all(line in got.text for line in said), got.text
    assert "SensorExecutionError" not in got.text and "dagster._core" not in got.text


def test_it_is_told_once_until_it_has_worked_again(office, smtp_server):
    for status in (TickStatus.FAILURE, TickStatus.STARTED, TickStatus.FAILURE, TickStatus.FAILURE):
        tick(office, status, ValueError("no") if status == TickStatus.FAILURE else None)
    assert len(smtp_server.received) == 1
    tick(office, TickStatus.SKIPPED)
    tick(office, TickStatus.FAILURE, ValueError("no"))
    assert subjects(smtp_server) == ["[mlops tiny] new_data fails"] * 2


def test_what_mails_does_not_mail_of_itself_and_what_is_old_is_not_told(office, smtp_server):
    tick(office, TickStatus.FAILURE, ValueError("no"), name="alerts")
    tick(office, TickStatus.FAILURE, ValueError("no"), name="drift")
    office.tick(after=MINUTE * 60 * 24 * 60)
    assert subjects(smtp_server) == ["[mlops tiny] drift fails"]


def test_the_mail_of_a_run_without_its_rows_names_the_file(office, smtp_server):
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2024-02"]))
    def raw_data():
        raise dg.Failure("period 2024-02 is not published (missing)", allow_retries=False)

    office.materialize(raw_data, "2024-02")
    office.tick()
    assert "Source: file tiny_2024-02.csv" in smtp_server.received[0].text
