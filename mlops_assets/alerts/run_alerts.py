"""The alert of a finished run; a retraining, with all its runs, is one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.addresses import MLFLOW_RUN, mlflow_page
from mlops_assets.alerts.alert import (
    Alert,
    Fact,
    Link,
    asset_link,
    board_link,
    named,
    one_line,
    run_link,
)
from mlops_assets.alerts.news import FailedCheck, News, champion_news, check_news, drift_news, failure_news
from mlops_assets.alerts.run_summary import DRIFT, PERFORMANCE, RAW, Materialised, RunSummary, read_run_summary
from mlops_assets.assets.requested_predictions import JOB as ON_REQUEST
from mlops_assets.automation.retraining import FINISHED, retraining_id
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.project import Project
from mlops_assets.run_tags import RETRAIN, RETRAINING, STARTED_BY
from mlops_assets.sources.names import source_name


def run_alert(instance: dg.DagsterInstance, project: Project, record: dg.RunRecord) -> Alert | None:
    """What to tell of a run.

    None for a part of a retraining, which is told with the whole, and for a prediction on request, which whoever
    launched it looks after.
    """
    run = record.dagster_run
    is_retraining = run.job_name == RETRAIN
    if (RETRAINING in run.tags and not is_retraining) or run.job_name == ON_REQUEST:
        return None
    try:
        whole = read_run_summary(instance, record)
        parts = _last_attempts(instance, run) if is_retraining else [whole]
        return Report(project, whole, parts, is_retraining=is_retraining).alert()
    except (KeyError, TypeError, ValueError) as error:
        # Metadata that nobody foresaw must not hold back this mail, and all later ones with it.
        return _bare_alert(project, record, error)


def _bare_alert(project: Project, record: dg.RunRecord, error: Exception) -> Alert:
    run = record.dagster_run
    return Alert(
        key=f"run:{run.run_id}",
        kinds=("failure",),
        happened_at=record.update_timestamp.replace(tzinfo=UTC),
        title=f"{run.job_name} ended: {run.status.value}",
        cause=f"its events cannot be read ({type(error).__name__}): see the run",
        links=(run_link(project.settings, run.run_id),),
    )


def _last_attempts(instance: dg.DagsterInstance, umbrella: dg.DagsterRun) -> list[RunSummary]:
    """The runs of a retraining without those that were repeated, in the order they were launched."""
    selection = dg.RunsFilter(tags={RETRAINING: retraining_id(umbrella)})
    last: list[RunSummary] = []
    repeated: set[str] = set()
    for record in instance.get_run_records(selection):  # newest first
        if record.dagster_run.is_finished:
            summary = read_run_summary(instance, record)
            if not summary.planned or (summary.planned if summary.succeeded else summary.unmade) - repeated:
                last.append(summary)
            repeated |= summary.planned
    return last[::-1]


class Report:
    """A finished run in words. `parts`: the runs that did the work, of which it may be the only one itself."""

    def __init__(
        self, project: Project, whole: RunSummary, parts: Sequence[RunSummary], *, is_retraining: bool
    ) -> None:
        self._project, self._settings = project, project.settings
        self._whole, self._parts, self._is_retraining = whole, parts, is_retraining
        self._failed = [part for part in parts if not part.succeeded]
        self._blocked = json.loads(whole.run.tags.get(FINISHED, "{}")).get("blocked", [])
        failed = [FailedCheck(part, check) for part in parts for check in part.failed_checks]
        self._drifts = [one for one in failed if one.asset in (DRIFT, PERFORMANCE)]
        self._checks = [one for one in failed if one not in self._drifts]
        self._verdict = next((part.verdict for part in parts if part.verdict), None)

    def alert(self) -> Alert:
        news = list(self._news())
        foremost = news[0]
        return Alert(
            key=f"run:{self._whole.run.run_id}",
            kinds=tuple(one.kind for one in news),
            happened_at=datetime.fromtimestamp(self._whole.ended_at, UTC),
            title=one_line(self._project, self._title(news)),
            summary=one_line(self._project, " ".join(one.sentence for one in news)),
            cause=one_line(self._project, foremost.cause),
            comparison=next((one.comparison for one in news if one.comparison), None),
            chart=next((one.chart for one in news if one.chart), None),
            advice=foremost.advice,
            command=foremost.command,
            button=board_link(self._settings, foremost.board),
            facts=tuple(self._facts()),
            details=tuple(one_line(self._project, line) for line in self._details(news[1:]) if line != foremost.cause),
            links=tuple(self._links()),
        )

    def _news(self) -> Iterator[News]:
        """By what is to be done about it, most pressing first."""
        target = self._project.target
        unit = target.unit if target.metric.has_unit else ""
        failure = self._failure()
        if failure:
            yield failure
        elif self._checks:
            count = _checks_failed(len(self._checks))
            yield check_news(
                self._settings, count if self._is_retraining else f"{self._whole.name}: {count}", self._checks[0]
            )
        if self._verdict:
            yield champion_news(self._verdict, unit)
        if self._drifts:
            yield drift_news(self._drifts, unit)
        if not (failure or self._checks or self._verdict or self._drifts):
            yield self._success()

    def _failure(self) -> News | None:
        """What failed, if anything."""
        broken, whole = self._failed[0] if self._failed else self._whole, self._whole
        headlines = [f"{len(self._failed)} of {len(self._parts)} parts failed"] if self._failed else []
        headlines += [f"{len(self._blocked)} not tried"] if self._blocked else []
        if whole.succeeded and not headlines:
            return None
        headlines += [_checks_failed(len(self._checks))] if self._checks else []
        headline, cause, missing = "; ".join(headlines) or "the champion stays as it was", broken.cause, broken.name
        if not self._is_retraining:
            headline = f"{whole.name} {_end(whole)}"
        elif not whole.succeeded:
            cause, missing = whole.cause, "A new model"
        elif self._failed:
            cause = f"{broken.name} failed: {broken.cause}"
        else:
            cause, missing = _not_tried(self._blocked[0]), self._blocked[0]
        return failure_news(self._settings, headline, cause, missing, broken.asset)

    def _success(self) -> News:
        reasons = [one.metadata["reason"] for one in self._materialised() if "reason" in one.metadata]
        return News(
            kind="success",
            headline="the champion stays as it was" if self._is_retraining else f"{self._whole.name} succeeded",
            sentence="All went well.",
            cause=f"made because: {reasons[-1]}" if reasons else "it was asked for",
            advice="Nothing to do.",
        )

    def _title(self, news: Sequence[News]) -> str:
        told = "; ".join(one.headline for one in news)
        return f"retraining {_end(self._whole)}: {told}" if self._is_retraining else told

    def _facts(self) -> Iterator[Fact]:
        if not self._is_retraining:
            yield Fact("Asset" if self._whole.asset else "Run", self._whole.name)
        if raw := next((part for part in self._failed if part.asset == RAW), None):
            yield Fact("Source", source_name(self._project.spec, raw.partition))
        yield Fact("Started by", self._whole.run.tags.get(STARTED_BY, "manual"))
        yield Fact("Took", _duration(self._whole.seconds))
        yield Fact("Ended", f"{datetime.fromtimestamp(self._whole.ended_at, UTC):%Y-%m-%d %H:%M:%S} UTC")

    def _details(self, others: Sequence[News]) -> Iterator[str]:
        """What failed, the causes of news that are not the foremost, and scores."""
        if self._is_retraining:
            yield from (f"{part.name} failed: {part.cause}" for part in self._failed)
            yield from (_not_tried(name) for name in self._blocked)
        yield from (failed.line for failed in [*self._checks, *self._drifts])
        yield from (one.cause for one in others if one.kind == "champion")
        for one in self._materialised():
            # In a retraining every model type is tuned, then fitted: the fit is what counts.
            is_fit = not self._is_retraining or "model_type" in one.metadata
            target = self._project.target
            if one.computed and target.metric.key("validation") in one.metadata and is_fit:
                yield _score_line(one, target)

    def _links(self) -> Iterator[Link]:
        yield run_link(self._settings, self._whole.run.run_id)
        assets = {(part.asset, part.partition): part for part in self._failed if part.asset}
        if not self._is_retraining and self._whole.asset:
            assets[self._whole.asset, self._whole.partition] = self._whole
        for (asset, partition), part in list(assets.items())[:5]:
            yield asset_link(self._settings, asset, partition)
            if self._is_retraining:
                link = run_link(self._settings, part.run.run_id)
                yield Link(f"{link.name} of {part.name}", link.url)
        yield Link("MLflow", self._mlflow_url())

    def _mlflow_url(self) -> str:
        """The champion in MLflow, else the run of what was made, else where MLflow starts."""
        for one in [self._verdict] if self._verdict else self._materialised():
            for name in ("registered_model", MLFLOW_RUN):
                if name in one.metadata:
                    return mlflow_page(self._settings.mlflow_url, one.metadata[name])
        return mlflow_page(self._settings.mlflow_url)

    def _materialised(self) -> Iterator[Materialised]:
        """What the run and its parts have made."""
        for part in self._parts:
            yield from part.materialised


def _end(run: RunSummary) -> str:
    canceled = run.run.status == dg.DagsterRunStatus.CANCELED
    return "done" if run.succeeded else "was canceled" if canceled else "failed"


def _not_tried(name: str) -> str:
    return f"{name} was not tried: what it needs is not there"


def _score_line(one: Materialised, target: TargetKind) -> str:
    name = target.metric.key("validation")
    now, before = one.metadata[name], one.before.get(name)
    change = f"{_loss(before, target)} -> {_loss(now, target)}" if before is not None else _loss(now, target)
    return f"{named(one.metadata.get('model_type') or one.name, None)}: validation {target.metric.label} {change}"


def _checks_failed(count: int) -> str:
    return "1 check failed" if count == 1 else f"{count} checks failed"


def _loss(value: float, target: TargetKind) -> str:
    return f"{value:.4g} {target.unit if target.metric.has_unit else ''}".rstrip()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes)
    return " ".join([*parts, f"{seconds} s"])
