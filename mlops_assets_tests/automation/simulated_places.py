"""Places in memory for simulated years: each has the methods that the decisions call, and no other.

They stand in for Dagster's storage, MLflow's server, the disk, the source and the mail server. They are honest in
this: what was kept stays, what is away raises what the real one raises, and each effect is a step at which whoever
has it done may die.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import dagster as dg
import sqlalchemy as sa

from mlops_assets.alerts.alert import Kind
from mlops_assets.alerts.outbox import Letter
from mlops_assets.errors import (
    DeliveryError,
    DeliveryRefused,
    DeliveryUnconfirmed,
    SourceUnreachable,
    StorageError,
    StorageUnreachable,
    TrackingError,
)
from mlops_assets.facts import facts_of
from mlops_assets.resources.databases.prediction_log import Extent
from mlops_assets.resources.databases.schema import MAIL_OUTBOX, METADATA

TELLING = ("recipe", "content", "path", "champion_version", "reigns")  # metadata that recipes are made from
ENDS = {
    dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
}


class Died(BaseException):
    """Whoever did this is gone, as by kill -9: nobody hears of it but by its silence."""


class DatabaseAway(Exception):
    """Dagster's storage does not answer."""


class Fuse:
    """Counts effects down, and ends whoever has the next one done."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is None:
            return
        if self.left == 0:
            self.left = None
            raise Died
        self.left -= 1


class Clock:
    """The time of the machine, which people may set, and a steady one, which they may not."""

    def __init__(self) -> None:
        self.now = datetime(2025, 1, 1, tzinfo=UTC)
        self.steady = 0.0

    def read_steady(self) -> float:
        return self.steady

    @property
    def naive(self) -> datetime:
        return self.now.replace(tzinfo=None)


@dataclass
class Run:
    """A run as the decisions see it."""

    run_id: str
    job_name: str
    tags: dict[str, str]
    status: dg.DagsterRunStatus
    root_run_id: str | None = None
    remote_job_origin: None = None

    @property
    def is_finished(self) -> bool:
        return self.status in ENDS


@dataclass
class RunRecord:
    """A run with its times."""

    dagster_run: Run
    create_timestamp: datetime
    update_timestamp: datetime
    start_time: float | None = None
    end_time: float | None = None


@dataclass(frozen=True)
class Event:
    """An entry of the event log: something was made, or a run has ended."""

    storage_id: int
    run_id: str
    timestamp: float
    asset_materialization: dg.AssetMaterialization | None = None


@dataclass(eq=False)
class Records:
    """The part of a Dagster instance that the decisions ask: runs, materialisations, heartbeats, switches."""

    clock: Clock
    fuse: Fuse
    away: bool = False
    records: list[RunRecord] = field(default_factory=list)
    active: dict[str, RunRecord] = field(default_factory=dict)
    of_job: dict[str, list[RunRecord]] = field(default_factory=lambda: defaultdict(list))
    by_id: dict[str, RunRecord] = field(default_factory=dict)
    made: dict[tuple[str, str | None], list[Event]] = field(default_factory=lambda: defaultdict(list))
    of_asset: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[dg.DagsterEventType, list[Event]] = field(default_factory=lambda: defaultdict(list))
    heartbeat: float | None = None
    stopped: set[str] = field(default_factory=set)
    number: int = 0
    paths: dict[tuple[str, str | None], str | None] = field(default_factory=dict)  # of what was made last
    state: dict[str, tuple[object, ...]] = field(default_factory=dict)  # all that a recipe can read of an asset
    _contents: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=lambda: defaultdict(dict))
    tagged: dict[str, list[RunRecord]] = field(default_factory=lambda: defaultdict(list))  # by a value of any tag

    schedule_storage = None  # ticks are modelled by the world, and told by no alert

    @property
    def event_log_storage(self) -> Records:
        return self

    def get_maximum_record_id(self) -> int:
        self._asked()
        return self.number

    def _next(self) -> int:
        self._asked()
        self.fuse.step()
        self.number += 1
        return self.number

    def _asked(self) -> None:
        if self.away:
            raise DatabaseAway("the records cannot be asked")

    def add_run(self, job_name: str, tags: Mapping[str, str], root_run_id: str | None = None) -> Run:
        run_id = f"{self._next():08d}"
        run = Run(run_id, job_name, dict(tags), dg.DagsterRunStatus.QUEUED, root_run_id)
        record = RunRecord(run, self.clock.naive, self.clock.naive)
        self.records.append(record)
        self.active[run.run_id] = record
        self.of_job[job_name].append(record)
        self.by_id[run.run_id] = record
        self._index(record, run.tags)
        return run

    def _index(self, record: RunRecord, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.tagged[f"{key}={value}"].append(record)

    def set_status(self, run: Run, status: dg.DagsterRunStatus) -> None:
        number, record = self._next(), self.by_id[run.run_id]
        run.status, record.update_timestamp = status, self.clock.naive
        if run.is_finished:
            del self.active[run.run_id]
            record.end_time = self.clock.now.timestamp()
            self.ends[ENDS[status]].append(Event(number, run.run_id, record.end_time))
        else:
            record.start_time = self.clock.now.timestamp()

    def add_run_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._next()
        self.by_id[run_id].dagster_run.tags.update(tags)
        self._index(self.by_id[run_id], tags)

    def get_run_records(self, filters: dg.RunsFilter, limit: int | None = None) -> list[RunRecord]:
        self._asked()
        known: Sequence[RunRecord] = self.records
        if filters.tags:
            key, value = next(iter(filters.tags.items()))
            known = self.tagged[f"{key}={value}"]
        elif filters.job_name:
            known = self.of_job[filters.job_name]
        elif filters.statuses and not set(filters.statuses) & set(ENDS):
            known = list(self.active.values())
        matching: list[RunRecord] = []
        for record in reversed(known):  # newest first
            run = record.dagster_run
            if (
                (filters.job_name is None or run.job_name == filters.job_name)
                and (not filters.statuses or run.status in filters.statuses)
                and all(run.tags.get(key) == value for key, value in (filters.tags or {}).items())
            ):
                matching.append(record)
                if len(matching) == limit:
                    break
        return matching

    def get_runs(self, filters: dg.RunsFilter, limit: int | None = None) -> list[Run]:
        return [record.dagster_run for record in self.get_run_records(filters, limit)]

    def get_run_record_by_id(self, run_id: str) -> RunRecord | None:
        self._asked()
        return self.by_id.get(run_id)

    def get_run_by_id(self, run_id: str) -> Run | None:
        record = self.get_run_record_by_id(run_id)
        return record.dagster_run if record else None

    def record(self, asset: str, partition: str | None, metadata: Mapping[str, Any], run_id: str) -> None:
        """Keep a materialisation."""
        what = dg.AssetMaterialization(asset, metadata=metadata, partition=partition)
        event = Event(self._next(), run_id, self.clock.now.timestamp(), what)
        self.made[asset, partition].append(event)
        self.of_asset[asset].append(event)
        facts = facts_of(metadata)
        self.paths[asset, partition] = facts.get("path")
        self._contents[asset][partition or ""] = tuple(str(facts.get(name)) for name in TELLING)
        self.state[asset] = tuple(sorted(self._contents[asset].items()))

    def report_runless_asset_event(self, event: dg.AssetMaterialization) -> None:
        self.record(event.asset_key.to_user_string(), event.partition, event.metadata, "")

    def fetch_materializations(
        self, selection: dg.AssetRecordsFilter | dg.AssetKey, limit: int, ascending: bool = False
    ) -> SimpleNamespace:
        self._asked()
        if isinstance(selection, dg.AssetKey):
            selection = dg.AssetRecordsFilter(selection)
        asset = selection.asset_key.to_user_string()
        if selection.storage_ids is not None:
            events = [event for event in self.of_asset.get(asset, []) if event.storage_id in set(selection.storage_ids)]
            return SimpleNamespace(records=events)
        if selection.asset_partitions is None:
            events = self.of_asset.get(asset, [])
        else:
            events = self.made.get((asset, selection.asset_partitions[0]), [])
        return _page(events, selection, limit, ascending)

    def get_latest_materialization_event(self, key: dg.AssetKey) -> Event | None:
        self._asked()
        events = self.of_asset.get(key.to_user_string())
        return events[-1] if events else None

    def get_latest_storage_id_by_partition(
        self, key: dg.AssetKey, event_type: dg.DagsterEventType, partitions: set[str] | None = None
    ) -> dict[str, int]:
        self._asked()
        asset = key.to_user_string()
        return {
            partition: events[-1].storage_id
            for (name, partition), events in self.made.items()
            if name == asset and partition and events and (partitions is None or partition in partitions)
        }

    def fetch_run_status_changes(
        self, selection: dg.RunStatusChangeRecordsFilter | dg.DagsterEventType, limit: int, ascending: bool = False
    ) -> SimpleNamespace:
        self._asked()
        if isinstance(selection, dg.DagsterEventType):
            return _page(self.ends[selection], None, limit, ascending)
        return _page(self.ends[selection.event_type], selection, limit, ascending)

    def all_logs(self, run_id: str, of_type: Collection[dg.DagsterEventType]) -> list[dg.EventLogEntry]:
        self._asked()
        return []

    def get_freshness_state_records(self, keys: Sequence[dg.AssetKey]) -> dict[dg.AssetKey, SimpleNamespace]:
        self._asked()
        return {}

    def all_instigator_state(self) -> list[SimpleNamespace]:
        self._asked()
        off = SimpleNamespace(value="STOPPED")
        return [SimpleNamespace(instigator_name=name, status=off) for name in self.stopped]

    def get_daemon_heartbeats(self) -> dict[str, SimpleNamespace]:
        self._asked()
        return {} if self.heartbeat is None else {"SENSOR": SimpleNamespace(timestamp=self.heartbeat)}


def _page(
    events: Sequence[Event],
    selection: dg.AssetRecordsFilter | dg.RunStatusChangeRecordsFilter | None,
    limit: int,
    ascending: bool,
) -> SimpleNamespace:
    if limit == 1 and not ascending and (selection is None or selection.after_storage_id is None):
        before = selection.before_timestamp if selection else None
        if before is None:
            return SimpleNamespace(records=list(events[-1:]))
    after = (selection.after_storage_id if selection else None) or 0
    since = (selection.after_timestamp if selection else None) or 0.0
    until = (selection.before_timestamp if selection else None) or float("inf")
    fitting = [event for event in events if event.storage_id > after and since < event.timestamp < until]
    return SimpleNamespace(records=(fitting if ascending else fitting[::-1])[:limit])


class Models:
    """MLflow's registry, as its client shows it, and the tracking that turns what is amiss into a TrackingError."""

    def __init__(self, clock: Clock, fuse: Fuse) -> None:
        self.clock, self.fuse = clock, fuse
        self.away, self.uri = False, "http://mlflow"
        self.aliases: dict[str, str] = {}
        self.versions: dict[int, SimpleNamespace] = {}
        self.client = self

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        if self.away:
            raise TrackingError(f"MLflow does not answer: cannot {doing}")
        yield

    def model_version_url(self, name: str, number: int) -> str:
        return f"http://mlflow/{name}/{number}"

    def create(self, tags: Mapping[str, str]) -> int:
        with self.errors("register"):
            self.fuse.step()
            number = len(self.versions) + 1
            made_at = self.clock.now.timestamp() * 1000
            self.versions[number] = SimpleNamespace(
                version=str(number), run_id="", tags=dict(tags), creation_timestamp=made_at
            )
            return number

    def get_registered_model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(aliases=self.aliases)

    def get_model_version(self, name: str, version: str) -> SimpleNamespace:
        return self.versions[int(version)]

    def search_model_versions(self, query: str, page_token: str | None = None) -> _Found:
        wanted = re.search(r"tags\.(\w+) = '(\w+)'", query)
        versions = list(self.versions.values())
        if wanted:
            versions = [one for one in versions if one.tags.get(wanted[1]) == wanted[2]]
        return _Found(versions)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.fuse.step()
        self.versions[int(version)].tags[key] = value

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        self.fuse.step()
        self.versions[int(version)].tags.pop(key)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.fuse.step()
        self.aliases[alias] = version


class _Found(list[SimpleNamespace]):
    """A page of results, which is the only one."""

    token = None


class Disk:
    """The storage of artefacts: paths alone. `lost`: those that a person has removed."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.full = False
        self.paths: set[str] = set()
        self.lost: set[str] = set()
        self.watch: Callable[[str], None] = lambda path: None  # is told what is about to be removed

    def exists(self, path: str) -> bool:
        return path in self.paths

    def size(self, path: str) -> int:
        return 1

    def has_size(self, path: str, size: int | None) -> bool:
        return True  # nobody cuts a file short here

    def write(self, folder: str, name: str, digest: str) -> str:
        self.fuse.step()
        if self.full:
            raise StorageError("the disk is full")
        path = f"{folder}/{name}-{digest[:16]}"
        self.paths.add(path)
        self.lost.discard(path)
        return path

    def prune(self, folder: str, name: str, keep: Collection[str]) -> None:
        old = [path for path in self.paths if path.startswith(f"{folder}/{name}-") and path not in keep]
        for path in old:
            self.fuse.step()
            self.watch(path)
            self.paths.discard(path)

    def lose(self, path: str) -> None:
        self.paths.discard(path)
        self.lost.add(path)


class Periods:
    """A source: periods with a version each, of which some hold rows that no check lets pass."""

    def __init__(self) -> None:
        self.away = False
        self.versions: dict[str, str] = {}
        self.bad: set[str] = set()

    def partitions(self) -> dict[str, str]:
        if self.away:
            raise SourceUnreachable("the source does not answer")
        return dict(self.versions)


class Asked:
    """A prediction log of which only the extent is known; the same for every period."""

    def __init__(self) -> None:
        self.rows = 0

    def extent(self, start: datetime | None, end: datetime | None) -> Extent:
        return Extent(f"{self.rows:08d}", self.rows)


class Tables:
    """Our own tables, in a SQLite in memory that is emptied for each simulation."""

    _engine: sa.Engine | None = None

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.away = False
        if Tables._engine is None:
            Tables._engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
            METADATA.create_all(Tables._engine, tables=[MAIL_OUTBOX])
        with Tables._engine.begin() as connection:
            connection.execute(MAIL_OUTBOX.delete())

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        if self.away or Tables._engine is None:
            raise StorageUnreachable("the database cannot be used")
        with Tables._engine.begin() as connection:
            yield connection
            self.fuse.step()  # before the commit: it is undone


ANN = "ann@example.com"


@dataclass(eq=False)
class Post:
    """A channel of mail. `mood`: what it does with the next mails; `delivered`: ids of mails by recipient and alert."""

    clock: Clock
    fuse: Fuse
    mood: str = "takes"
    delivered: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    unsure: set[str] = field(default_factory=set)  # ids of mails whose sender may not know that they have arrived
    busy: Callable[[], None] | None = None  # what else goes on while a mail is handed over
    broken: list[str] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)

    def recipients(self, kind: Kind) -> tuple[str, ...]:
        return (ANN,)

    def serves(self, recipient: str) -> bool:
        return recipient == ANN

    def deliver(self, mail: Letter, seconds: float) -> None:
        if self.busy:
            busy, self.busy = self.busy, None
            busy()
        match self.mood:
            case "refuses":
                raise DeliveryRefused("no such mailbox")
            case "down":
                raise DeliveryError("the mail server does not answer")
            case "loses":
                raise DeliveryUnconfirmed("the server fell silent")
        for alert in mail.alerts:
            before = self.delivered[mail.recipient, alert.key]
            if before and (set(before) != {mail.id} or mail.id not in self.unsure):
                self.broken.append(f"{alert.key} was mailed twice")
            before.append(mail.id)
        self.unsure.add(mail.id)
        if self.mood == "falls silent":
            raise DeliveryUnconfirmed("the server fell silent")
        self.handed.append(mail.id)
        self.fuse.step()

    def noted(self) -> None:
        """Its sender has lived on to note what it sent."""
        self.unsure.difference_update(self.handed)
        self.handed.clear()
