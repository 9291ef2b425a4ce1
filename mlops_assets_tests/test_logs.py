"""Logs as JSON: one object a line, with the ids by which lines of one run or request are found."""

import io
import json
import logging
import os
import sys

import pytest

from mlops_assets.logs import REQUEST_ID, JsonFormatter, configure, repeating

RUN = """
import sys
from mlops_assets.definitions import defs
from mlops_assets.instance import open_instance
from mlops_assets.project import open_project
with open_instance(open_project()) as instance:
    job = defs().resolve_job_def("clean")
    print(job.execute_in_process(instance=instance, partition_key=sys.argv[1], raise_on_error=False).run_id)
"""


@pytest.fixture
def restored():
    """The root logger as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def line(message="said", *values, **about):
    record = logging.makeLogRecord({"msg": message, "args": values, "levelno": 20, "levelname": "INFO"} | about)
    return json.loads(JsonFormatter().format(record))


BROKEN = """
import io, logging, sys
from mlops_assets.cli import main

class Broken(io.StringIO):
    def write(self, text):
        raise OSError(5, "Input/output error")

logging.basicConfig(stream=Broken())
sys.argv = ["mlops-assets", "--help"]
try:
    main()
finally:
    logging.warning("nobody can be told")
"""


def test_a_log_that_cannot_be_written_makes_no_traceback(new_home):
    done = new_home().process(script=BROKEN)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_says_when_how_bad_who_and_what():
    told = line("%s – %d\nlines", "Zoë", 2, name="mlops_assets.x", created=1_700_000_000.25)
    assert told == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "info",
        "logger": "mlops_assets.x",
        "message": "Zoë – 2\nlines",
    }


def test_a_line_has_the_id_of_the_request_that_is_being_answered():
    token = REQUEST_ID.set("019a")
    assert line()["request_id"] == "019a"
    REQUEST_ID.reset(token)
    assert "request_id" not in line()


def test_an_error_is_in_its_line():
    try:
        raise ValueError("broken")
    except ValueError:
        told = line(exc_info=sys.exc_info())
    assert told["error"].endswith("ValueError: broken")


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False)])
def test_a_process_writes_what_the_setting_says(restored, capsys, log_format, is_json):
    configure(log_format)
    logging.getLogger("mlops_assets.test").info("told")
    logging.getLogger("somebody.else").info("not told")
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("{") == is_json and "told" in told


def test_all_that_a_step_prints_is_printed_to_its_last_line(tmp_path):
    captured, text = tmp_path / "captured", "".join(f"line {number}\n" for number in range(20_000))
    captured.touch()
    with (tmp_path / "shown").open("w") as shown, repeating(str(captured), shown):
        captured.write_text(text)
    assert (tmp_path / "shown").read_text() == text


def test_what_nobody_listens_to_or_nothing_is_captured_of_is_not_repeated(tmp_path):
    captured = tmp_path / "captured"
    captured.touch()
    heard, said = os.pipe()
    os.close(heard)
    with os.fdopen(said, "w") as nobody, repeating(str(captured), nobody):
        captured.write_text("in a step")
    with repeating(str(captured), io.StringIO()) as told:
        assert told is None


def lines_of_a_run(home, partition, **settings):
    """What a run of the job `clean` prints."""
    done = home.process(partition, script=RUN, **settings)
    return done.stderr.splitlines(), done.stdout.strip()


@pytest.fixture(scope="module")
def shop(copy_shop):
    """A home of their own in which everything was made: these tests make some of it again."""
    return copy_shop()


def test_a_run_prints_json_with_its_id_asset_and_partition(shop):
    lines, run_id = lines_of_a_run(shop, "2024-01", MLOPS_LOG_FORMAT="json")
    told = [json.loads(line) for line in lines]
    assert {line["run_id"] for line in told if line["logger"] == "dagster"} == {run_id}
    (said,) = [line for line in told if "not computed again" in line["message"]]
    assert (said["job"], said["asset"], said["partition"]) == ("clean", "clean_data", "2024-01")
    assert said["level"] == "info"


def test_the_failure_of_a_run_is_a_line_with_its_cause(shop):
    lines, _ = lines_of_a_run(shop, "2024-09", MLOPS_LOG_FORMAT="json")
    failures = [line for line in map(json.loads, lines) if line.get("event") == "STEP_FAILURE"]
    assert [line["level"] for line in failures] == ["error"]
    assert "raw_data[2024-09] has not been materialised" in failures[0]["error"]


def test_without_the_setting_a_run_prints_text(shop):
    lines, run_id = lines_of_a_run(shop, "2024-01")
    assert run_id and not [line for line in lines if line.startswith("{")]
