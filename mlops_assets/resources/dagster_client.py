"""What a Dagster that runs elsewhere is asked: whether its daemon is alive, and, as any program does, for runs.

Heartbeats are read from the instance; runs are launched and looked up by GraphQL over HTTP.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from mlops_assets.addresses import dagster_run_page
from mlops_assets.errors import LaunchError
from mlops_assets.facts import unfolded
from mlops_assets.resources.progress import progress_in_words
from mlops_assets.run_tags import RETRAINING

# A heartbeat comes every 30 s; a daemon that is busy may miss a few.
SILENT_SECONDS = 300
# As workspace.yaml names them.
LOCATION, REPOSITORY, MODULE = "mlops", "__repository__", "mlops_assets.definitions"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0  # seconds between looks at a run
MOST_FAILURES = 5  # looks in a row: a webserver may be started anew while a run goes on
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}
"""
_RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      runId status jobName
      assetMaterializations {
        assetKey { path }
        metadataEntries {
          label
          ... on JsonMetadataEntry { jsonString }
          ... on TextMetadataEntry { text }
          ... on IntMetadataEntry { intRepr }
          ... on FloatMetadataEntry { floatValue }
          ... on BoolMetadataEntry { boolValue }
        }
      }
    }
    ... on Error { message }
  }
}
"""
_PROGRESS = """
query Progress($id: ID!, $parts: RunsFilter!) {
  runOrError(runId: $id) { ... on Run { tags { key value } } ... on Error { message } }
  runsOrError(filter: $parts) { ... on Runs { results { tags { key value } } } ... on Error { message } }
}
"""
_EVENTS = """
query Events($id: ID!, $cursor: String) {
  logsForRun(runId: $id, afterCursor: $cursor) {
    __typename
    ... on EventConnection {
      cursor hasMore
      events {
        __typename
        ... on ExecutionStepFailureEvent { failureMetadata { description } error { message } }
        ... on RunFailureEvent { message }
        ... on RunCanceledEvent { message }
      }
    }
    ... on Error { message }
  }
}
"""
_LOCATIONS = """
query Locations {
  version
  workspaceOrError {
    ... on Workspace {
      locationEntries { name loadStatus locationOrLoadError { __typename ... on PythonError { message } } }
    }
    ... on Error { message }
  }
}
"""
_VALUES: dict[str, Callable[[Any], Any]] = {
    "jsonString": json.loads,
    "text": str,
    "intRepr": int,
    "floatValue": float,
    "boolValue": bool,
}


def heartbeat_ages(instance: dg.DagsterInstance, now: datetime) -> dict[str, float | None]:
    """Seconds since the last heartbeat of each part of the daemon that the instance needs; None for never."""
    heard = instance.get_daemon_heartbeats()
    ages = {part: now.timestamp() - beat.timestamp for part, beat in heard.items()}
    return {part: ages.get(part) for part in sorted(instance.get_required_daemon_types())}


def last_heartbeat(instance: dg.DagsterInstance, part: str) -> float | None:
    """When a part of the daemon was last heard of, in seconds since 1970; None for never."""
    beat = instance.get_daemon_heartbeats().get(part)
    return beat.timestamp if beat else None


def is_stopped(instance: dg.DagsterInstance, sensor: str) -> bool:
    """Whether somebody has turned a sensor off that is on by itself."""
    states = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
    return any(state.status.value == "STOPPED" for state in states)


def silent(ages: dict[str, float | None]) -> list[str]:
    """Parts that were not heard of for too long."""
    return [part for part, age in ages.items() if age is None or age > SILENT_SECONDS]


@dataclass(frozen=True)
class Run:
    """A run as Dagster tells it. `metadata`: by asset, of what it has materialised so far."""

    run_id: str
    status: str
    job_name: str
    metadata: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"


class LaunchClient:
    """The Dagster webserver at `url`; `timeout` in seconds is for each request. All methods raise LaunchError.

    A user and password for a proxy before it are taken from ~/.netrc.
    """

    def __init__(self, url: str, timeout: float = 30) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout

    def launch(self, job: str, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Launch a job of our code location; gives the run's id."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job}
        run_tags = [{"key": key, "value": value} for key, value in tags.items()]
        params = {"selector": selector, "runConfigData": run_config, "executionMetadata": {"tags": run_tags}}
        answer = self._ask(_LAUNCH, params=params)["launchRun"]
        if "run" in answer:
            return answer["run"]["runId"]
        if answer["__typename"] == "UnauthorizedError":
            raise LaunchError(f"{self._name} launches nothing: it was started with --read-only")
        messages = [error["message"] for error in answer.get("errors", ())]
        reason = "; ".join(messages) or answer.get("message", answer["__typename"])
        raise LaunchError(f"{self._name} does not launch the job '{job}': {_one_line(reason)}")

    def find(self, run_id: str) -> Run | None:
        """The run, or None where Dagster does not know it."""
        answer = self._ask(_RUN, id=run_id)["runOrError"]
        if answer["__typename"] == "RunNotFoundError":
            return None
        if "status" not in answer:
            raise LaunchError(f"{self._name} cannot tell of run {run_id}: {_one_line(answer['message'])}")
        metadata = {
            "/".join(event["assetKey"]["path"]): unfolded(dict(_metadata(event["metadataEntries"])))
            for event in answer["assetMaterializations"]
        }
        return Run(answer["runId"], answer["status"], answer["jobName"], metadata)

    def wait(
        self, run_id: str, wait: Callable[[float], None] = time.sleep, look: Callable[[], None] = lambda: None
    ) -> Run:
        """The run once it has ended, looked at after waits that grow; a few looks in a row may fail.

        `look` is called at each look at a run that goes on.
        """
        pause, failures = FIRST_WAIT, 0
        while True:
            try:
                run = self.find(run_id)
                if run and not run.ended:
                    look()
                failures = 0
            except LaunchError:
                failures += 1
                if failures > MOST_FAILURES:
                    raise
            else:
                if run is None:
                    raise LaunchError(f"{self._name} does not know run {run_id}: was it deleted?")
                if run.ended:
                    return run
            wait(pause)
            pause = min(pause * 1.5, LONGEST_WAIT)

    def progress(self, run_id: str) -> str:
        """How far a retraining has come, in words."""
        at_work = {"tags": [{"key": RETRAINING, "value": run_id}], "statuses": ["STARTING", "STARTED", "CANCELING"]}
        answer = self._ask(_PROGRESS, id=run_id, parts=at_work)
        for part in answer.values():
            if "message" in part:
                raise LaunchError(f"{self._name} cannot tell of run {run_id}: {_one_line(part['message'])}")
        run, *parts = (
            {tag["key"]: tag["value"] for tag in it["tags"]}
            for it in (answer["runOrError"], *answer["runsOrError"]["results"])
        )
        return progress_in_words(run, parts)

    def failure(self, run_id: str) -> str:
        """Why a run ended early, in one line: its first failed step by its own message."""
        first_of_kind = {event["__typename"]: event for event in reversed(list(self._events(run_id)))}
        if step := first_of_kind.get("ExecutionStepFailureEvent"):
            described = (step["failureMetadata"] or {}).get("description")
            return _one_line(described or (step["error"] or {}).get("message") or "a step failed without saying why")
        ends = [event["message"] for event in first_of_kind.values() if event.get("message")]
        return _one_line(ends[0]) if ends else "the run ended without saying why"

    def version(self) -> str:
        """The webserver's version of Dagster."""
        return self._ask(_LOCATIONS)["version"]

    def code_location(self) -> str:
        """The state of our code location as the webserver sees it."""
        answer = self._ask(_LOCATIONS)["workspaceOrError"]
        if "locationEntries" not in answer:
            raise LaunchError(f"{self._name} has no workspace: {_one_line(answer['message'])}")
        locations = {entry["name"]: entry for entry in answer["locationEntries"]}
        if LOCATION not in locations:
            raise LaunchError(f"{self._name} does not know the code location '{LOCATION}': see workspace.yaml")
        loaded = locations[LOCATION]["locationOrLoadError"] or {}
        if "message" in loaded:
            raise LaunchError(f"the code location '{LOCATION}' is not loaded: {_last_line(loaded['message'])}")
        return locations[LOCATION]["loadStatus"].lower()

    def run_url(self, run_id: str) -> str:
        return dagster_run_page(self._url, run_id)

    def _events(self, run_id: str) -> Iterator[dict[str, Any]]:
        cursor, more = None, True
        while more:
            page = self._ask(_EVENTS, id=run_id, cursor=cursor)["logsForRun"]
            if "events" not in page:
                raise LaunchError(f"{self._name} cannot tell of run {run_id}: {_one_line(page['message'])}")
            yield from page["events"]
            cursor, more = page["cursor"], page["hasMore"]

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        import requests

        try:
            answer = requests.post(
                f"{self._url}/graphql", json={"query": query, "variables": variables}, timeout=self._timeout
            )
        except requests.RequestException as error:
            raise LaunchError(
                f"{self._name} does not answer ({type(error).__name__}): start it (mlops-assets dev), "
                "or say where it is (--url or MLOPS_DAGSTER_URL)"
            ) from None
        if answer.status_code in (401, 403):
            raise LaunchError(f"{self._name} asks who you are: put user and password into ~/.netrc")
        try:
            document = answer.json()
            if document.get("data"):
                return document["data"]
            reason = "; ".join(error["message"] for error in document.get("errors", ()))
        except (ValueError, AttributeError):  # no JSON, or no object
            reason = ""
        raise LaunchError(f"{self._name} does not answer as Dagster does: {_one_line(reason) or answer.status_code}")

    @property
    def _name(self) -> str:
        return f"Dagster at {urlsplit(self._url).netloc.rpartition('@')[2] or self._url}"


def _metadata(entries: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for entry in entries:
        for name, convert in _VALUES.items():
            if entry.get(name) is not None:
                yield entry["label"], convert(entry[name])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _last_line(text: str) -> str:
    """What an error says, without its traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it does not say why"
