"""What starts retrainings, seen under a real daemon, webserver and mail server: one line an act, and what was seen.

    python -m benchmarks.automation --data FOLDER [--only ACT ...]

FOLDER holds monthly green-taxi files. Acts: `month` (a new file is in the champion's window without any hand), `doors`
(20 starts at once through different doors), `failure` (a model type that fails, and its mail), `freshness` (short
windows lapse twice), `switches` (schedules and sensors by the command line), `idle` (100 ticks with nothing to do).
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from pathlib import Path

import requests
from aiosmtpd.controller import Controller

from benchmarks.site import Site, settled

LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {selector: $selector, executionMetadata: {tags: $tags}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
  }
}"""
RETRAIN = {"repositoryLocationName": "mlops", "repositoryName": "__repository__", "jobName": "retrain"}
OURS = "from mlops_assets.cli import main; main()"


class Inbox:
    """A mail server that keeps subjects and texts."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((message["subject"], message.get_body(("plain",)).get_content()))
        return "250 OK"


class Stage:
    """A site at work, its Dagster instance, and what people were mailed."""

    def __init__(self, site: Site, instance, project, inbox: Inbox, port: int) -> None:
        self.site, self.instance, self.project, self.inbox = site, instance, project, inbox
        self.url = f"http://127.0.0.1:{port}/graphql"
        self.months = sorted(path.stem[-7:] for path in site.data.glob("green_tripdata_*.parquet"))
        self.published: list[str] = []

    def publish_next(self) -> str:
        month = self.months[len(self.published)]
        self.published.append(month)
        self.site.publish(month)
        return month

    def wait(self, done: Callable[[], bool], seconds: float = 900) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if done():
                return True
            time.sleep(1)
        return False

    def at_rest(self) -> bool:
        from mlops_assets.automation.retraining import active_retraining

        return active_retraining(self.instance) is None and settled(self.instance, self.project)

    def retrainings(self) -> list:
        import dagster as dg

        return self.instance.get_runs(dg.RunsFilter(job_name="retrain"))

    def champion_months(self) -> str:
        return self.project.registry.champion().tags["periods"]


def month(stage: Stage) -> str:
    for _ in range(4):
        stage.publish_next()
    assert stage.wait(stage.at_rest), "the first retraining did not end"
    before = stage.champion_months()
    new = stage.publish_next()
    assert stage.wait(lambda: stage.at_rest() and _window(stage)[-1] == new), f"{new} did not arrive"
    window, starter = _window(stage), stage.retrainings()[0].tags["mlops/started_by"]
    return f"{new} was published; started by {starter}; window {', '.join(window)}; champion's months were {before}"


def doors(stage: Stage) -> str:
    stage.publish_next()  # one door: the sensor
    old = {run.run_id for run in stage.retrainings()}

    def by_graphql() -> str:
        tags = [{"key": "mlops/started_by", "value": "api"}]
        answer = requests.post(
            stage.url, json={"query": LAUNCH, "variables": {"selector": RETRAIN, "tags": tags}}, timeout=120
        )
        return f"api: {answer.json()['data']['launchRun']['__typename']}"

    def by_dagster() -> str:
        ended = stage.site.run("dagster", "job", "launch", "-w", "workspace.yaml", "-j", "retrain")
        return f"dagster job launch: exit {ended.returncode}"

    def by_command() -> str:
        ended = subprocess.run([sys.executable, "-c", OURS, "run"], env=stage.site.env, capture_output=True, text=True)
        said = "refused" if "retraining" in ended.stderr else ended.stderr.strip()[-80:]
        return f"mlops-assets run: exit {ended.returncode} {said}"

    most = 0
    with ThreadPoolExecutor(20) as pool:
        calls = [by_graphql] * 12 + [by_dagster] * 5 + [by_command] * 2
        answers = [pool.submit(call) for call in calls]
        end = time.monotonic() + 1500
        while time.monotonic() < end and not (all(answer.done() for answer in answers) and stage.at_rest()):
            most = max(most, _at_work(stage))
            time.sleep(0.5)
    ends = Counter(run.status.value for run in stage.retrainings() if run.run_id not in old)
    told = Counter(answer.result() for answer in answers)
    return f"{dict(told)}; retrainings {dict(ends)}, at most {most} at work; fitted twice: {_fitted_twice(stage)}"


def failure(stage: Stage) -> str:
    from mlops_assets.assets.records import Records

    spaces = stage.site.root / "spaces.yaml"
    spaces.write_text("Lasso: {parameters: {alpha: {fixed: -1}}}\n", encoding="utf-8")
    stage.site.restart(MLOPS_MODEL_TYPES="Ridge,XGBoost,Lasso", MLOPS_SEARCH_SPACES=str(spaces))
    stage.inbox.mails.clear()
    old = len(stage.retrainings())
    new = stage.publish_next()
    assert stage.wait(lambda: len(stage.retrainings()) > old and stage.retrainings()[0].is_finished), "no end"
    assert stage.wait(lambda: any("failed" in text for _, text in stage.inbox.mails), 180), "no mail"
    champion, red = (
        Records(stage.instance).latest("champion_model"),
        Records(stage.instance).latest("hyperparameters", "Lasso"),
    )
    subject = stage.inbox.mails[0][0]
    stage.site.restart(MLOPS_MODEL_TYPES="Ridge,XGBoost", MLOPS_SEARCH_SPACES="")
    return (
        f"with {new}: retraining {stage.retrainings()[0].status.value}, champion {champion.value('champion_type')} "
        f"({champion.value('decision')}), not fitted: {champion.value('not_fitted')}, Lasso made: {red is not None}; "
        f"{len(stage.inbox.mails)} mail(s), the first '{subject}'"
    )


def freshness(stage: Stage) -> str:
    stage.site.restart(MLOPS_FRESH_DAYS="0.00125", FRESHNESS_DAEMON_INTERVAL_SECONDS="10")
    stage.inbox.mails.clear()

    def lapses() -> list:
        return [
            run for run in stage.retrainings() if run.tags.get("mlops/started_by") == "freshness" and run.is_finished
        ]

    old = len(lapses())
    assert stage.wait(lambda: len(lapses()) >= old + 2), "not two lapses"
    stage.site.restart(MLOPS_FRESH_DAYS="")
    subjects = Counter(subject for subject, _ in stage.inbox.mails)
    return f"windows of 108 s lapsed: {len(lapses()) - old} retrainings by freshness; mails {dict(subjects)}"


def switches(stage: Stage) -> str:
    said = []
    for kind, name in (("sensor", "new_data"), ("schedule", "retrain_by_schedule")):
        stage.site.restart(MLOPS_SCHEDULE="daily")
        for verb in ("stop", "start"):
            ended = stage.site.run("dagster", kind, verb, name, "-w", "workspace.yaml")
            said.append(f"{kind} {verb}: exit {ended.returncode}")
    stage.site.restart(MLOPS_SCHEDULE="")
    return "; ".join(said)


def idle(stage: Stage) -> str:
    stage.wait(stage.at_rest)
    time.sleep(60)
    stage.inbox.mails.clear()
    runs, ticks, cpu, began = len(stage.instance.get_runs()), _ticks(stage), stage.site.cpu_seconds(), time.monotonic()
    stage.wait(lambda: _ticks(stage) - ticks >= 100)
    seconds = time.monotonic() - began
    spent = stage.site.cpu_seconds() - cpu
    return (
        f"{_ticks(stage) - ticks} ticks in {seconds:.0f} s: {len(stage.instance.get_runs()) - runs} runs, "
        f"{len(stage.inbox.mails)} mails, {spent:.1f} CPU s of daemon and code server ({spent / seconds:.1%} of a core)"
    )


ACTS = {act.__name__: act for act in (month, doors, failure, freshness, switches, idle)}


def _window(stage: Stage) -> list[str]:
    from mlops_assets.assets.records import Records
    from mlops_assets.core.prepare.splitting import SPLITS

    built = Records(stage.instance).newest("training_set")
    return sorted({name for split in SPLITS for name in built.value(f"{split}_periods").split(", ")} - {"none"})


def _at_work(stage: Stage) -> int:
    import dagster as dg

    started = dg.RunsFilter(job_name="retrain", statuses=[dg.DagsterRunStatus.STARTED])
    by_command = dg.RunsFilter(tags={"mlops/started_by": "cli"}, statuses=[dg.DagsterRunStatus.STARTED])
    return len(stage.instance.get_runs(started)) + len(stage.instance.get_runs(by_command))


def _fitted_twice(stage: Stage) -> list:
    runs = stage.project.tracking.client.search_runs([stage.project.tracking.experiment_id], max_results=5000)
    fits = Counter(
        (r.data.tags["model_type"], r.data.tags["training_set"]) for r in runs if r.info.run_name[:4] == "fit "
    )
    return [name for (name, _), count in fits.items() if count > 1]


def _ticks(stage: Stage) -> int:
    states = stage.instance.all_instigator_state()
    return sum(
        len(stage.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=10_000)) for state in states
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=ACTS, default=list(ACTS))
    options = parser.parse_args()
    port, inbox = _free_port(), Inbox()
    mail = Controller(inbox, hostname="127.0.0.1", port=_free_port())
    mail.start()
    settings = {"MLOPS_SMTP_HOST": "127.0.0.1", "MLOPS_SMTP_PORT": str(mail.port)}
    settings |= {"MLOPS_SMTP_SECURITY": "plain", "MLOPS_MAIL_TO": "ops@example.com"}
    settings |= {"MLOPS_DAGSTER_URL": f"http://127.0.0.1:{port}"}
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), options.data.resolve(), **settings)
        os.environ.update(site.env)
        try:
            return _play(site, inbox, port, options.only)
        finally:
            site.stop()
            mail.stop()


def _play(site: Site, inbox: Inbox, port: int, acts: list[str]) -> int:
    import dagster as dg

    from mlops_assets.project import open_project

    project = open_project()
    project.tracking.check()
    failed = 0
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)  # makes the databases: two processes at once would spoil them
        site.start()
        site.serve(port)
        stage = Stage(site, instance, project, inbox, port)
        for name in dict.fromkeys(["month", *acts]):
            began = time.monotonic()
            try:
                seen = ACTS[name](stage)
                print(f"{name} ({time.monotonic() - began:.0f} s): {seen}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"{name}: NOT SEEN: {error}", flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} CPU s of all processes that ended")
    return failed


if __name__ == "__main__":
    sys.exit(main())
