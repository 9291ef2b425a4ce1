"""A world in memory in which retrainings go on for years: a daemon, workers, people, faults; and what must hold.

The decisions are the real ones: `next_move` with the plan, its recipes and its graph, what starts a retraining,
`Wait`, memoisation (`begin`, `done`), the registry, the collector of alerts and the outbox. What is modelled is what
Dagster does with them (a queue, workers, run monitoring, retries of crashed runs, run keys) and the work of an asset,
of which only its steps are left: look, make, store, record. A worker may die at each of them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

import dagster as dg

from mlops_assets.alerts import sensor as alerts
from mlops_assets.alerts.outbox import Outbox
from mlops_assets.assets import champion_model, entry, memo, plan
from mlops_assets.assets.memo import Made, begin
from mlops_assets.assets.plan import Plan
from mlops_assets.assets.records import REIGNS, reigns, report_by_hand
from mlops_assets.assets.records import Records as NewestRecords
from mlops_assets.assets.registry import asset_graph
from mlops_assets.automation import retraining, triggers
from mlops_assets.automation.retrain_job import Wait
from mlops_assets.automation.retraining import EXCLUSIVE, FINISHED, RETRAIN
from mlops_assets.compat import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import DataError, MlopsError, TrackingError
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.registry import CHAMPION, RECIPE_TAG, Registry
from mlops_assets.run_tags import FIRST, LAST, PARTITION, RETRAINING, STARTED_BY, TASK
from mlops_assets.settings import read_settings
from mlops_assets_tests.automation.simulated_places import (
    ANN,
    Asked,
    Clock,
    DatabaseAway,
    Died,
    Disk,
    Fuse,
    Models,
    Periods,
    Post,
    Records,
    Run,
    Tables,
)

S = dg.DagsterRunStatus
CALENDAR = tuple(f"2024-{period:02}" for period in range(1, 13))
SETTINGS = read_settings(
    {
        "MLOPS_MODEL_TYPES": "Ridge,XGBoost",
        "MLOPS_SMTP_HOST": "127.0.0.1",
        "MLOPS_MAIL_TO": ANN,
        "MLOPS_MAIL_TO_SUCCESS": ANN,
        "MLOPS_MAIL_MAX_AGE_HOURS": "9600",
        "MLOPS_RUN_AT_START": "yes",
    }
)
SPEC = DatasetSpec.model_validate(
    {
        "name": "years",
        "source": {"kind": "files", "uri": "years/{period}.csv"},
        "columns": {"at": {"type": "time"}, "x": {}, "y": {}},
        "time": {"column": "at", "first": CALENDAR[0], "last": CALENDAR[-1]},
        "target": {"column": "y"},
        "features": {"numeric": {"x": {}}},
        "window": {"train_periods": 1, "validation_periods": 1, "test_periods": 1},
    }
)
TYPES = Project(SETTINGS, SPEC).model_types
GRAPH = asset_graph(Project(SETTINGS, SPEC))
MADE_BY = {entry.job: (name,) for name, entry in GRAPH.entries.items()}
# The assets whose records a recipe reads, its own among them.
READS = {name: (name, *GRAPH.upstream[name]) for name in GRAPH.entries} | {
    "training_set": ("training_set", "clean_data", "raw_data"),
    "model_performance": ("model_performance", "clean_data", "champion_model"),
    "drift_report": ("drift_report", "clean_data", "champion_model"),
}
ROUND = timedelta(seconds=30)
# What may be missing at the end, where it was given up: a model type. All else is tried until it is there.
MAY_BE_RED = {"hyperparameters", "sklearn_model", "xgboost_model", "model_performance", "drift_report"}
GO_ON = {"training_set", "champion_model", "predictions"}  # without what could not be made, as the docs promise
MOST_TRIES, MOST_RUNS = 3, 3  # of a task in a retraining; at work at a time, as in dagster.yaml


class Broken(AssertionError):
    """What must hold does not."""


@contextmanager
def quick(remember: bool = True) -> Iterator[None]:
    """What is computed from equal things again and again is remembered, if wanted; nothing else differs."""
    key_of_periods = entry.period_partitions(Project(SETTINGS, SPEC)).get_partition_keys()
    periods = SimpleNamespace(get_partition_keys=lambda: key_of_periods)
    with ExitStack() as stack:
        stack.enter_context(patch.object(plan, "asset_graph", lambda project: GRAPH))
        stack.enter_context(patch.object(plan, "period_partitions", lambda project: periods))
        stack.enter_context(patch.object(Recipe, "from_json", functools.lru_cache(50_000)(Recipe.from_json)))
        stack.enter_context(patch.object(memo, "changes", functools.lru_cache(50_000)(memo.changes)))
        if remember:
            stack.enter_context(patch.object(Plan, "_task", _remembering(Plan._task)))
        yield


def _remembering(task_of):
    """`Plan._task`, asked once for equal records."""
    known: dict[tuple[object, ...], plan.Task] = {}

    def _task(self: Plan, asset: plan.AssetEntry, state: entry.State, partition: str | None) -> plan.Task:
        records = self._instance
        if records.away:
            return task_of(self, asset, state, partition)
        source = self.source_versions().get(partition) if asset.name == "raw_data" else None
        rows = self._project.prediction_log.rows if asset.name == "model_performance" else None
        there = self._project.storage.exists(records.paths.get((asset.name, partition)))
        read = tuple(records.state.get(name) for name in READS[asset.name])
        key = asset.name, partition, source, rows, there, read
        if key not in known:
            if len(known) > 200_000:
                known.clear()
            known[key] = task_of(self, asset, state, partition)
        return known[key]

    return _task


class Versions(Registry):
    """The real one, of which nobody removes a version."""

    def why_gone(self, number: int) -> str | None:
        return None


@dataclass
class Worker:
    """A process at work on a run: its steps to come."""

    run: Run
    steps: Iterator[None]
    dies_after: int | None = None  # effects
    dawdles: int = 0  # rounds in which it does nothing


@dataclass
class Umbrella:
    """The process of the run of `retrain`."""

    run: Run
    wait: Wait


@dataclass
class Context:
    """What an asset's code sees of its run."""

    instance: Records
    run: Run
    asset: str

    def __post_init__(self) -> None:
        self.asset_key = dg.AssetKey(self.asset)
        self.log = SimpleNamespace(info=lambda text: None)


@dataclass
class World:
    """All of it, and what has happened so far."""

    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock, self.fuse = Clock(), Fuse()
        self.records = Records(self.clock, self.fuse)
        self.models, self.disk, self.source = Models(self.clock, self.fuse), Disk(self.fuse), Periods()
        self.tables, self.post, self.asked_online = Tables(self.fuse), Post(self.clock, self.fuse), Asked()
        self.project = Project(SETTINGS, SPEC)
        self.project.__dict__.update(
            source=self.source,
            storage=self.disk,
            registry=Versions(self.models, SPEC.name),
            prediction_log=self.asked_online,
            model_types=TYPES,
        )
        self.disk.watch = self._about_to_be_removed
        self.workers: dict[str, Worker] = {}
        self.umbrellas: dict[str, Umbrella] = {}
        self.keys: set[tuple[str, str]] = set()
        self.asked = retraining.AskedSource()
        self.daemon_lives = True
        self.daemon_dies_after: int | None = None
        self.worker_dies_after: int | None = None
        self.next_dawdles = 0
        self.lazy = False  # a worker begins a round after its run was started
        self.ticks = 1
        self.cursor = alerts.first_position(self.records).to_json()
        self.outbox = Outbox(self.tables)
        self.reigning: int | None = None  # the version that was made champion last, by a decision or by hand
        self.meddled = 0  # how often something has changed that no retraining does
        self.asked_when: dict[str, int] = {}
        self.computed: dict[tuple[str, str], int] = {}
        self.launched_before = 0
        self.idle_since: float | None = None  # for so long has a retraining had no part at work
        self.idle_rounds = 0

    # What people, periods and misfortune do.

    def say(self, text: str) -> None:
        self.story.append(f"{self.clock.now:%m-%d %H:%M:%S} {text}")

    def period_arrives(self) -> None:
        if len(self.source.versions) < len(CALENDAR):
            period = CALENDAR[len(self.source.versions)]
            self.source.versions[period] = "v1"
            self._meddle(f"{period} arrives")

    def period_changes(self, number: int, bad: bool = False) -> None:
        if self.source.versions:
            period = sorted(self.source.versions)[-1 - number % min(3, len(self.source.versions))]
            self.source.versions[period] = f"v{int(self.source.versions[period][1:]) + 1}"
            (self.source.bad.add if bad else self.source.bad.discard)(period)
            self._meddle(f"{period} changes to {self.source.versions[period]}{', for the worse' if bad else ''}")

    def rows_are_predicted_online(self) -> None:
        self.asked_online.rows += 7
        self._meddle("rows are predicted online")

    def somebody_retrains(self) -> None:
        if not self.records.away:
            run = self.records.add_run(RETRAIN, {STARTED_BY: "manual"} | EXCLUSIVE)
            self.say(f"somebody starts {run.run_id}")

    def somebody_cancels(self, number: int) -> None:
        active = [run for run in self._active() if run.status == S.STARTED]
        if active and not self.records.away:
            run = active[number % len(active)]
            self.workers.pop(run.run_id, None)
            self.umbrellas.pop(run.run_id, None)
            self._end(run, S.CANCELED)
            self.say(f"somebody cancels {_name(run)}")

    def somebody_rolls_back(self) -> None:
        """As `mlops-assets rollback` does."""
        if self.records.away or self.models.away:
            return
        try:
            _, now = self.project.registry.rollback(self.clock.now)
        except TrackingError:
            return
        self.reigning = now.number
        report_by_hand(self.records, now, "rolled back", "by hand", reigns(self.project.registry))
        self._meddle(f"somebody rolls back to version {now.number}")
        self._check_who_answered_then()

    def somebody_moves_the_alias(self, number: int) -> None:
        if self.reigning is not None:
            champions = [number for number, one in self.models.versions.items() if one.tags["role"] == CHAMPION]
            self.reigning = champions[number % len(champions)]
            self.models.aliases[CHAMPION] = str(self.reigning)
            self._meddle(f"somebody moves the alias to version {self.reigning} in MLflow")

    def somebody_removes_a_file(self, number: int) -> None:
        if self.disk.paths:
            path = sorted(self.disk.paths)[number % len(self.disk.paths)]
            self.disk.lose(path)
            self._meddle(f"somebody removes {path}")

    def place(self, name: str, away: bool) -> None:
        """The source, the registry, the records, our tables: away or there again. A disk is full or not."""
        self.say(f"{name} is {'away' if away else 'there'}")
        if name == "disk":
            self.disk.full = away
        elif name == "records":
            self.records.away = away
            if away:  # whoever writes to them dies, and cannot say so
                self.workers.clear()
                self.umbrellas.clear()
        else:
            {"source": self.source, "models": self.models, "tables": self.tables}[name].away = away

    def sensor(self, on: bool) -> None:
        self.say(f"the sensor is turned {'on' if on else 'off'}")
        (self.records.stopped.discard if on else self.records.stopped.add)(retraining.SENSOR)

    def daemon(self, lives: bool) -> None:
        self.say(f"the daemon {'starts' if lives else 'is killed'}")
        self.daemon_lives = lives
        self.asked = retraining.AskedSource()

    def die(self, who: str, effects: int) -> None:
        """The next worker, or the daemon, dies after so many effects; all umbrellas, or workers, die at once."""
        self.say(f"death: {who} after {effects}")
        if who == "worker":
            self.worker_dies_after = effects
        elif who == "daemon":
            self.daemon_dies_after = effects
        elif who == "umbrella":
            self.umbrellas.clear()
        else:
            self.workers.clear()

    def clock_moves(self, by: timedelta) -> None:
        self.say(f"the clock is set by {by}")
        self.clock.now += by

    # What goes on by itself.

    def go_on(self, rounds: int = 1, seconds: float = ROUND.total_seconds()) -> None:
        for _ in range(rounds):
            self.clock.now += timedelta(seconds=seconds)
            self.clock.steady += seconds
            started = list(self.workers.values())
            self._daemon_works()
            for worker in started if self.lazy else list(self.workers.values()):
                self._work(worker)
            self._umbrellas_look()
            self.check()

    def _daemon_works(self) -> None:
        if not self.daemon_lives or self.records.away:
            return
        self.fuse.left, self.daemon_dies_after = self.daemon_dies_after, None
        try:
            self.records.heartbeat = self.clock.now.timestamp()
            self._find_lost_runs()
            launches = []
            for _ in range(self.ticks):  # two in the same moment see the same
                launches += [("new_data", request) for request in self._evaluate(self._new_data)]
                launches += [("unfinished", request) for request in self._evaluate(self._unfinished)]
                launches += [("scoring", request) for request in self._evaluate(self._scoring)]
                if retraining.SENSOR not in self.records.stopped:
                    launches += [(retraining.SENSOR, request) for request in self._evaluate(self._next_move)]
            self.ticks = 1
            for sensor, request in launches:
                self._launch(sensor, request)
            self._dequeue()
        except Died:
            self.daemon(lives=False)
        finally:
            if self.fuse.left is not None:
                self.daemon_dies_after, self.fuse.left = self.fuse.left, None

    def _plan(self, versions=None) -> Plan:
        return Plan(self.records, self.project, versions, GRAPH)

    def _new_data(self):
        return triggers.with_new_data(self.records, self.project, self._plan, self.clock.now)

    def _unfinished(self):
        return triggers.again_where_unfinished(self.records, self.project, self.clock.now)

    def _scoring(self):
        return triggers.score_newest(self.records, self.project, self._plan, self.clock.now)

    def _next_move(self):
        def opened(versions):
            plan = self._plan(versions)
            opened.last = plan
            return plan

        known = {run.run_id: FINISHED in run.tags for run in self._retrainings()}
        answer = retraining.next_move(self.records, opened, self.asked, self.clock.now)
        for run in self._retrainings():
            if FINISHED in run.tags and not known.get(run.run_id):
                self._check_finished(run, opened.last)
        return answer

    def _evaluate(self, decide) -> list[dg.RunRequest]:
        try:
            answer = decide()
        except (MlopsError, DatabaseAway):
            return []  # the tick fails, and the next one looks again
        if isinstance(answer, dg.SkipReason):
            return []
        return answer if isinstance(answer, list) else [answer]

    def _launch(self, sensor: str, request: dg.RunRequest) -> None:
        if (sensor, request.run_key) in self.keys:
            return
        job = request.job_name or (RETRAIN if sensor != "scoring" else GRAPH.entries["predictions"].job)
        tags = dict(request.tags)
        if request.partition_key:
            tags["dagster/partition"] = request.partition_key
        if RETRAINING in tags:
            for task in _tasks(tags):
                self._check_launch(tags[RETRAINING], task)
        run = self.records.add_run(job, tags | (EXCLUSIVE if job == RETRAIN else {}))
        self.keys.add((sensor, request.run_key))
        self.say(f"{sensor} launches {_name(run)} ({request.run_key})")

    def _dequeue(self) -> None:
        for run in self._active():
            if run.status != S.QUEUED:
                continue
            at_work = [one for one in self._active() if one.status == S.STARTED]
            if len(at_work) >= MOST_RUNS:
                return
            if run.job_name == RETRAIN and any(one.job_name == RETRAIN for one in at_work):
                continue
            self.records.set_status(run, S.STARTED)
            if run.job_name == RETRAIN:
                self.asked_when.setdefault(retraining.retraining_id(run), self.meddled)
                wait = Wait(self.records, run.run_id, lambda text: None, self.clock.read_steady)
                self.umbrellas[run.run_id] = Umbrella(run, wait)
            else:
                self.workers[run.run_id] = Worker(run, self._steps(run), self.worker_dies_after, self.next_dawdles)
                self.worker_dies_after, self.next_dawdles = None, 0

    def _find_lost_runs(self) -> None:
        """As run monitoring does, and the daemon that starts crashed runs once more."""
        for run in self._active():
            if run.status == S.STARTED and run.run_id not in self.workers and run.run_id not in self.umbrellas:
                if "dagster/max_retries" not in run.tags and run.root_run_id is None:
                    self.records.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
                self._end(run, S.FAILURE)
        for record in self.records.get_run_records(dg.RunsFilter(tags={WILL_RETRY_TAG: "true"})):
            run = record.dagster_run
            if run.status == S.FAILURE and AUTO_RETRY_RUN_ID_TAG not in run.tags:
                again = self.records.add_run(run.job_name, _without_retry(run.tags), run.run_id)
                self.records.add_run_tags(run.run_id, {AUTO_RETRY_RUN_ID_TAG: again.run_id})

    def _umbrellas_look(self) -> None:
        if self.records.away:
            return
        for umbrella in list(self.umbrellas.values()):
            try:
                left = umbrella.wait.look()
            except dg.Failure as failure:
                self.say(f"{_name(umbrella.run)} fails: {failure.description}")
                self._end(umbrella.run, S.FAILURE)
            else:
                if left is None:
                    continue
                self._end(umbrella.run, S.FAILURE if retraining.why_undecided(left) else S.SUCCESS)
            del self.umbrellas[umbrella.run.run_id]

    def _end(self, run: Run, status: dg.DagsterRunStatus) -> None:
        self.records.set_status(run, status)
        self.say(f"{_name(run)} ends: {status.value}")

    def _work(self, worker: Worker) -> None:
        """One round of a worker; a quick one does all its steps in it."""
        self.fuse.left = worker.dies_after
        try:
            if worker.dawdles:
                worker.dawdles -= 1
                next(worker.steps, None)
                return
            for _ in worker.steps:
                pass
            self.records.set_status(worker.run, S.SUCCESS)
            self.say(f"{_name(worker.run)} is done")
        except Died:
            self.say(f"{_name(worker.run)} is killed")
        except MlopsError as error:
            self.fuse.left = None
            self._end(worker.run, S.FAILURE)
            self.say(f"{_name(worker.run)} fails: {error}")
        finally:
            worker.dies_after, self.fuse.left = self.fuse.left, None
        self.workers.pop(worker.run.run_id, None)

    def _steps(self, run: Run) -> Iterator[None]:
        for asset in MADE_BY[run.job_name]:
            yield from self._make_partitions(run, asset)

    def _make_partitions(self, run: Run, asset: str) -> Iterator[None]:
        """One that fails leaves the others standing."""
        failures: list[MlopsError] = []
        for partition in _partitions(run.tags):
            try:
                yield from self._make(run, asset, partition)
            except MlopsError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _make(self, run: Run, asset: str, partition: str | None) -> Iterator[None]:
        if asset == "raw_data" and partition not in self.source.partitions():
            return  # not published yet: it says so, and records nothing
        state = entry.State(NewestRecords(self.records), self.project, self.source.partitions)
        recipe = GRAPH.entries[asset].recipe(state, partition)
        making = begin(Context(self.records, run, asset), self.project, state.records, recipe, partition)
        if making.unchanged:
            self.records.record(asset, partition, making.again().metadata, run.run_id)
            return
        was_lost = making.record is not None and making.record.path in self.disk.lost
        yield
        if asset == "raw_data" and partition in self.source.bad:
            raise DataError(f"{partition} has rows that no check lets pass")
        metadata = {"dagster/row_count": 100}
        content = recipe.digest
        if asset in ("sklearn_model", "xgboost_model"):
            self._register(making.recipe, "candidate")
        elif asset == "champion_model":
            metadata |= self._decide(making)
            content = Recipe({"champion": metadata["champion_version"]}).digest
        elif asset in ("predictions", "model_performance", "drift_report"):
            with self.models.errors("load the model"):
                pass
        yield
        path = None if asset == "champion_model" else self.disk.write(asset, partition or asset, content)
        yield
        result = making.done(Made(content, path, metadata))
        if not was_lost:
            self._check_made(run, asset, partition, recipe)
        self.records.record(asset, partition, result.metadata, run.run_id)
        if root := run.tags.get(RETRAINING):
            self.computed[root, plan.Task(asset, partition, ()).name] = self.meddled
        self.say(f"{_name(run)} makes {asset}: {result.metadata['reason']}")

    def _register(self, recipe: Recipe, role: str) -> int:
        known = self.project.registry.made_from(recipe.digest)
        if known:
            return known.number
        if any(one.tags.get(RECIPE_TAG) == recipe.digest for one in self.models.versions.values()):
            raise Broken(f"a {role} is registered twice from the same recipe")
        periods = ",".join(NewestRecords(self.records).newest("training_set").recipe.parts["data"])
        tags = {RECIPE_TAG: recipe.digest, "role": role, "model_type": "Ridge", "periods": periods}
        return self.models.create(tags | {"verdict": "better"})

    def _decide(self, making) -> dict:
        """The steps of `champion_model` around its gate, which here is a coin that always falls alike."""
        registry = self.project.registry
        champion, decision = registry.champion(), "refused"
        wins = champion is None or (
            champion.tags[RECIPE_TAG] != making.recipe.digest and int(making.recipe.digest[:2], 16) % 2 == 0
        )
        if champion and champion_model._was_cut_off(making, champion):
            decision = "promoted"
        elif wins:
            decision = "promoted"
            number = self._register(making.recipe, CHAMPION)
            try:
                registry.promote(number, reason="better", at=self.clock.now)
            finally:
                if self.models.aliases.get(CHAMPION) == str(number):
                    self.reigning = number
            champion = registry.champion()
        promoted = champion is not None and champion.tags[RECIPE_TAG] == making.recipe.digest
        if promoted != (decision == "promoted"):
            raise Broken(f"version {champion and champion.number} is champion, and the record says {decision}")
        return {
            "champion_version": champion.number if champion else 0,
            "champion_type": "Ridge",
            "decision": decision,
            "verdict": decision,
            REIGNS: dg.MetadataValue.json(reigns(registry)),
        }

    def mail(self) -> None:
        """A tick of the sensor `alerts`."""
        if not self.daemon_lives or self.records.away:
            return
        self.fuse.left, self.daemon_dies_after = self.daemon_dies_after, None
        try:
            position = alerts._POSITION.validate_json(self.cursor)
            collector = alerts.Collector(self.records, self.project, [self.post], self.outbox, self.clock.now)
            position = collector.collect(position, (), until=float("inf"))
            self._flush()
            self.cursor = position.to_json()
            self.post.noted()
        except Died:
            self.post.handed.clear()
            self.daemon(lives=False)
        except (MlopsError, DatabaseAway):
            self.post.handed.clear()  # the tick fails, and the next one looks again
        finally:
            self.fuse.left = None

    def _flush(self) -> None:
        alerts.flush(self.outbox, [self.post], self.project, self.clock.now, until=float("inf"))

    def two_mail(self) -> None:
        """A second sender has its tick while the first one hands over a mail."""

        def second() -> None:
            self._flush()
            self.post.noted()

        self.post.busy = second
        self.mail()
        self.post.busy = None

    # What must hold.

    def _meddle(self, text: str) -> None:
        self.meddled += 1
        self.say(text)

    def _active(self) -> list[Run]:
        return [record.dagster_run for record in self.records.active.values()]

    def _retrainings(self) -> list[Run]:
        return [record.dagster_run for record in self.records.of_job[RETRAIN]]

    def _parts(self, root: str, task: str | None = None) -> list[Run]:
        parts = [record.dagster_run for record in self.records.tagged[f"{RETRAINING}={root}"]]
        return [run for run in parts if task is None or task in _tasks(run.tags)]

    def _check_launch(self, root: str, task: str) -> None:
        tried = self._parts(root, task)
        if any(not run.is_finished for run in tried):
            raise Broken(f"{task} is launched while it is at work")
        if len(tried) >= MOST_TRIES:
            raise Broken(f"{task} is tried more than {MOST_TRIES} times in one retraining")
        if task.startswith("model_performance") and any(run.status == S.SUCCESS for run in tried):
            raise Broken(f"{task} is measured twice in one retraining")

    def _check_made(self, run: Run, asset: str, partition: str | None, recipe: Recipe) -> None:
        record = NewestRecords(self.records).latest(asset, partition)
        root = run.tags.get(RETRAINING)
        if root is None:
            return
        if record and record.recipe.digest == recipe.digest:
            raise Broken(f"{asset} {partition or ''} is made twice from the same")
        task = plan.Task(asset, partition, ()).name
        if self.computed.get((root, task)) == self.meddled == self.asked_when[root]:
            raise Broken(f"{task} is made twice in one retraining, though nothing has changed outside")

    def _check_finished(self, run: Run, plan: Plan) -> None:
        """Nothing is at work, and each task that is stale was tried to the end, or could not be."""
        root, left = retraining.retraining_id(run), json.loads(run.tags[FINISHED])
        self.say(f"{run.run_id} is finished: {left}")
        if at_work := [part.tags[TASK] for part in self._parts(root) if not part.is_finished]:
            raise Broken(f"a retraining is called finished while {at_work} are at work")
        if left.get("because"):
            if self.source.versions and not self.source.away:
                raise Broken("the source is said to be away, and it is there")
            return
        for name in left["given_up"]:
            if len(self._parts(root, name)) != MOST_TRIES:
                raise Broken(f"{name} is given up after {len(self._parts(root, name))} tries")
        for name in left["blocked"]:
            task = next(task for task in plan.tasks(name.partition("[")[0]) if task.name == name)
            if task.asset in GO_ON and not task.waits_for:
                raise Broken(f"{name} was not tried, though it goes on without what could not be made")
        for asset in GRAPH.entries:
            for task in plan.tasks(asset):
                done = any(part.status == S.SUCCESS for part in self._parts(root, task.name))
                if task.stale and task.name not in left["given_up"] + left["blocked"] and not done:
                    raise Broken(f"a retraining is called finished, and {task.name} is neither made nor given up")

    def _check_who_answered_then(self) -> None:
        """A period that is scored again was not answered by another champion then."""
        if self.source.away or self.source.versions == {}:
            return
        explained = self._plan().explain()
        told = {task.partition for task in explained["clean_data"] if task.stale}
        told |= {task.partition for task in self._plan().tasks("model_performance") if task.stale}
        for task in explained["model_performance"]:
            if task.stale and task.partition not in told:
                raise Broken(f"{task.name} is called stale because its period is scored again")

    def _about_to_be_removed(self, path: str) -> None:
        for asset, partition in list(self.records.made):
            record = NewestRecords(self.records).latest(asset, partition)
            if record and record.path == path:
                raise Broken(f"{path} is removed, and it is the newest that there is")

    def check(self) -> None:
        """What holds at any time."""
        at_work = [run for run in self._active() if run.status == S.STARTED and run.job_name == RETRAIN]
        if len(at_work) > 1:
            raise Broken("two retrainings are at work")
        champion = self.models.aliases.get(CHAMPION)
        if champion != (None if self.reigning is None else str(self.reigning)):
            raise Broken(f"the alias is at {champion}, and {self.reigning} was made champion last")
        if self.post.broken:
            raise Broken(self.post.broken[0])
        self._check_that_it_ends(at_work)

    def _check_that_it_ends(self, retrainings: list[Run]) -> None:
        """No retraining waits for hours without any part at work."""
        waits = retrainings and retrainings[0].run_id in self.umbrellas and not self.records.away
        launched = len(self.records.records)
        if not waits or self.workers or launched > self.launched_before:
            self.launched_before = launched
            self.idle_since, self.idle_rounds = None, 0
        elif self.idle_since is None:
            self.idle_since = self.clock.steady
        elif self.clock.steady > self.idle_since:
            self.idle_rounds += 1
            if self.idle_rounds > 20 and self.clock.steady - self.idle_since > 7_200:
                raise Broken("a retraining waits for hours, and nothing is at work")

    def calm(self) -> None:
        """All faults end. Within days no period is lost, all is told, and each retraining has ended."""
        for name in ("source", "models", "records", "tables", "disk"):
            self.place(name, away=False)
        self.sensor(on=True)
        self.daemon(lives=True)
        self.daemon_dies_after = self.worker_dies_after = None
        self.post.mood, self.ticks, self.next_dawdles = "takes", 1, 0
        for period in sorted(self.source.bad):
            self.source.bad.discard(period)
            self.source.versions[period] += "1"
            self._meddle(f"{period} changes for the better")
        if (newest := self._retrainings()[-1:]) and newest[0].status == S.CANCELED:
            self.somebody_retrains()  # who has canceled one means it, and starts the next
        self.until_quiet(days=4)
        self._check_nothing_lost()
        self._check_all_told()
        self.somebody_retrains()  # which makes what nobody waits for, such as a model type that was given up
        self.go_on()
        self.until_quiet(days=4)
        self._check_nothing_stale()

    def until_quiet(self, days: float) -> None:
        steady, rounds = self.clock.steady, 0
        while self.clock.steady - steady < days * 86_400:
            if self._active():
                rounds += 1
                if rounds > 400:
                    raise Broken("a retraining does not end")
                self.go_on()
            elif self.source.versions and self._left():
                rounds = 0
                self.go_on(seconds=3_600)
            else:
                break

    def _left(self) -> list[str]:
        """Tasks that hold a period, or the champion, and are not up to date."""
        plan = self._plan()
        names = []
        for asset in GRAPH.entries:
            if asset in MAY_BE_RED:
                continue
            tasks = plan.tasks(asset)
            if len(self.source.versions) < 3 and asset not in ("raw_data", "clean_data"):
                continue
            names += [
                task.name
                for task in (tasks[-1:] if asset == "predictions" else tasks)
                if task.stale and not all(reason.endswith(" is gone") for reason in task.reasons)
            ]
        return names

    def _check_nothing_lost(self) -> None:
        if self.source.versions and (left := self._left()):
            raise Broken(f"days later {', '.join(left)} is not up to date, and nothing is going to make it so")

    def _check_nothing_stale(self) -> None:
        if len(self.source.versions) >= 3:
            explained = self._plan().explain()
            stale = [task.name for tasks in explained.values() for task in tasks if task.stale]
            if stale:
                raise Broken(f"after a quiet retraining {', '.join(stale)} is stale")

    def _check_all_told(self) -> None:
        for _ in range(4):
            self.clock.now += timedelta(minutes=20)
            self.mail()
            self.check()
            if not (untold := self._untold()):
                return
        raise Broken(f"nobody was told how {untold[0].run_id} has ended")

    def _untold(self) -> list[Run]:
        untold = []
        for run in self._retrainings():
            is_last = AUTO_RETRY_RUN_ID_TAG not in run.tags
            if is_last and not self.post.delivered.get((ANN, f"run:{run.run_id}")):
                untold.append(run)
        return untold


def _without_retry(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in (WILL_RETRY_TAG, AUTO_RETRY_RUN_ID_TAG)}


def _partitions(tags: Mapping[str, str]) -> list[str | None]:
    """What a run makes: one partition, those in a row, or an asset that has none."""
    if FIRST in tags:
        return [period for period in CALENDAR if tags[FIRST] <= period <= tags[LAST]]
    return [tags.get(PARTITION)]


def _tasks(tags: Mapping[str, str]) -> list[str]:
    asset = tags[TASK].partition("[")[0]
    return [plan.Task(asset, partition, ()).name for partition in _partitions(tags)]


def _name(run: Run) -> str:
    return f"{run.run_id} {run.tags.get(TASK, run.job_name)}"
