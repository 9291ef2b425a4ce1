"""The sensor `alerts`: looks for what people should hear of, puts it into the outbox, and delivers what is due."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import TypeAdapter

from mlops_assets.alerts.alert import KINDS, Alert
from mlops_assets.alerts.asset_alerts import freshness_alert, freshness_key, rollback_alert, stale_records
from mlops_assets.alerts.channels import Channel, open_channels, recipients
from mlops_assets.alerts.run_alerts import run_alert
from mlops_assets.alerts.run_summary import CHAMPION
from mlops_assets.alerts.tick_alerts import tick_alert
from mlops_assets.compat import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG
from mlops_assets.errors import DeliveryError, DeliveryRefused, DeliveryUnconfirmed
from mlops_assets.project import Project
from mlops_assets.resources.ticks import failing
from mlops_assets.run_tags import STARTED_BY

if TYPE_CHECKING:
    from mlops_assets.alerts.outbox import Outbox

SENSOR = "alerts"
# Dagster gives a tick 60 s.
COLLECTING_SECONDS, TICK_SECONDS = 12, 36
MOST_LETTERS = 20
KEPT = timedelta(days=90)  # mail that was sent stays this long in the outbox, for whoever asks what was told
MOST_EVENTS = 50
# An event has its number before others can see it, and its run's tags follow: younger ones are left for later.
SETTLED = timedelta(seconds=5)
# A failed run that Dagster starts once more by itself is told by how that ends, if it begins within this time.
RETRY_PATIENCE = timedelta(minutes=10)
End = Literal[dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED, dg.DagsterEventType.RUN_SUCCESS]
ENDS: tuple[End, ...] = (
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
    dg.DagsterEventType.RUN_SUCCESS,
)


@dataclass(frozen=True)
class Position:
    """How far events were read: the last number by feed, and failed runs that wait to be started once more.

    `failing`: schedules and sensors of which it was told that they fail.
    """

    seen: dict[str, int]
    retrying: dict[str, float]
    failing: tuple[str, ...] = ()

    def to_json(self) -> str:
        return _POSITION.dump_json(self).decode()


_POSITION = TypeAdapter(Position)


def build_alert_sensor(
    project: Project, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dg.SensorDefinition | None:
    """The sensor that tells people, where the settings name a way to do so; off where nobody is to be told."""
    channels = open_channels(project.settings, project.spec.name)
    if not channels:
        return None

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING
        if recipients(channels, KINDS)
        else dg.DefaultSensorStatus.STOPPED,
        description="Tells people what failed, which checks failed, what became of the champion and what grows stale. "
        "What a mail server or a webhook does not take waits for later ticks.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from mlops_assets.alerts.outbox import Outbox

        began = time.monotonic()
        instance, now, outbox = context.instance, clock(), Outbox(project.database)
        position = _POSITION.validate_json(context.cursor) if context.cursor else first_position(instance)
        collector = Collector(instance, project, channels, outbox, now, _location(context))
        position = collector.collect(position, _fresh_assets(context), until=began + COLLECTING_SECONDS)
        sending = flush(outbox, channels, project, now, until=began + TICK_SECONDS)
        return dg.SensorResult(skip_reason=f"{collector.added} new; {sending}", cursor=position.to_json())

    return alerts


def first_position(instance: dg.DagsterInstance) -> Position:
    """The present: what happened before the first tick is not told."""
    newest = {kind.value: instance.fetch_run_status_changes(kind, limit=1).records for kind in ENDS}
    newest[CHAMPION] = instance.fetch_materializations(dg.AssetKey(CHAMPION), limit=1).records
    return Position({feed: records[0].storage_id if records else 0 for feed, records in newest.items()}, {})


class Collector:
    """Turns what happened since a position into alerts in the outbox; the same event twice is one alert."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        project: Project,
        channels: Sequence[Channel],
        outbox: Outbox,
        now: datetime,
        location: str | None = None,
    ) -> None:
        self._instance, self._project, self._outbox, self._now = instance, project, outbox, now
        self._channels = channels
        self._location = location
        self._oldest = now - timedelta(hours=project.settings.mail_max_age_hours)
        self.added = 0

    def collect(self, position: Position, fresh_assets: Iterable[dg.AssetKey], until: float) -> Position:
        """The new position, once all up to there is in the outbox; ends soon after `until` by time.monotonic()."""
        seen = dict(position.seen)
        retrying: dict[str, float] = {}
        for run_id, since in position.retrying.items():
            self._end_of_run(run_id, since, retrying)
        for kind in ENDS:
            for record in self._ends(kind, seen.get(kind.value, 0)):
                if time.monotonic() > until:
                    break
                self._end_of_run(record.run_id, record.timestamp, retrying)
                seen[kind.value] = record.storage_id
        for record in self._champions(seen.get(CHAMPION, 0)):
            self._add(rollback_alert(self._project, record))
            seen[CHAMPION] = record.storage_id
        if recipients(self._channels, ["freshness"]):
            for state in stale_records(self._instance, fresh_assets):
                if state.updated_at >= self._oldest and not self._outbox.knows(freshness_key(state)):
                    self._add(freshness_alert(self._instance, self._project, state))
        return Position(seen, retrying, tuple(self._failing(position.failing)))

    def _failing(self, told: Sequence[str]) -> Iterator[str]:
        """Names of schedules and sensors that fail; of those that have begun to, it is told."""
        for failed in failing(self._instance):
            if failed.name != SENSOR and self._location in (None, failed.location) and failed.at >= self._oldest:
                if failed.name not in told:
                    self._add(tick_alert(self._project, failed))
                yield failed.name

    def _ends(self, kind: End, after: int) -> Iterator[dg.EventLogRecord]:
        selection = dg.RunStatusChangeRecordsFilter(
            kind, after_storage_id=after, after_timestamp=self._oldest.timestamp()
        )
        changes = self._instance.fetch_run_status_changes(selection, limit=MOST_EVENTS, ascending=True)
        return self._settled(changes.records)

    def _champions(self, after: int) -> Iterator[dg.EventLogRecord]:
        selection = dg.AssetRecordsFilter(
            dg.AssetKey(CHAMPION), after_storage_id=after, after_timestamp=self._oldest.timestamp()
        )
        page = self._instance.fetch_materializations(selection, limit=MOST_EVENTS, ascending=True)
        return self._settled(page.records)

    def _settled(self, records: Iterable[dg.EventLogRecord]) -> Iterator[dg.EventLogRecord]:
        for record in records:
            # One of later than now is old: the clock has been set back since, and nothing must wait for it.
            if (self._now - SETTLED).timestamp() < record.timestamp <= (self._now + SETTLED).timestamp():
                return
            yield record

    def _end_of_run(self, run_id: str, ended_at: float, retrying: dict[str, float]) -> None:
        """Tell of a run that ended; one that Dagster is about to start once more goes into `retrying` instead."""
        record = self._instance.get_run_record_by_id(run_id)
        if record is None or not self._is_ours(record.dagster_run):
            return
        if record.dagster_run.tags.get(WILL_RETRY_TAG) == "true":
            if AUTO_RETRY_RUN_ID_TAG in record.dagster_run.tags:
                return
            if self._now.timestamp() - ended_at < RETRY_PATIENCE.total_seconds():
                retrying[run_id] = ended_at
                return
        self._add(run_alert(self._instance, self._project, record))

    def _is_ours(self, run: dg.DagsterRun) -> bool:
        """Whether a run is of this code location, whatever that is called here, or of our own command."""
        origin = run.remote_job_origin
        if origin is None or self._location is None or run.tags.get(STARTED_BY) == "cli":
            return True
        return origin.location_name == self._location

    def _add(self, alert: Alert | None) -> None:
        if alert:
            self.added += self._outbox.add(alert, recipients(self._channels, alert.kinds), self._now)


def flush(outbox: Outbox, channels: Sequence[Channel], project: Project, now: datetime, until: float) -> str:
    """Deliver what is due, and say how that went; ends about `until`, by time.monotonic(). Raises no DeliveryError."""
    age = timedelta(hours=project.settings.mail_max_age_hours)
    expired = outbox.expire(now, age)
    outbox.forget(now - age - KEPT)
    letters = outbox.claim(now, digest_from=project.settings.mail_digest_from, most=MOST_LETTERS)
    problems = [f"{expired} too old to be sent"] if expired else []
    sent = 0
    down: dict[Channel | None, DeliveryError] = {}  # they answer nobody for now, and each try would wait for that
    for number, letter in enumerate(letters):
        if until - time.monotonic() <= 1:
            outbox.release(letters[number:], now)
            break
        channel = next((one for one in channels if one.serves(letter.recipient)), None)
        if channel in down:
            outbox.put_back([letter], str(down[channel]), now)
            continue
        try:
            if channel is None:
                raise DeliveryRefused(f"{letter.recipient} is no longer in the settings")
            channel.deliver(letter, until - time.monotonic())
        except DeliveryRefused as error:
            problems.append(_retried(error, outbox.put_back([letter], str(error), now)))
        except DeliveryUnconfirmed as error:
            problems.append(_retried(error, outbox.keep(letter, str(error), now)))
        except DeliveryError as error:
            problems.append(_retried(error, outbox.put_back([letter], str(error), now)))
            down[channel] = error
        else:
            outbox.mark_sent(letter, now)
            sent += 1
    return "; ".join([f"{sent} sent", *problems])


def _retried(error: DeliveryError, next_try: datetime) -> str:
    return f"{error} (next try {next_try:%H:%M:%S} UTC)"


def _fresh_assets(context: dg.SensorEvaluationContext) -> list[dg.AssetKey]:
    """The assets of this code location that have a freshness policy."""
    if context.repository_def is None:
        return []
    return [node.key for node in context.repository_def.asset_graph.asset_nodes if node.freshness_policy]


def _location(context: dg.SensorEvaluationContext) -> str | None:
    return context.code_location_origin.location_name if context.code_location_origin else None
