"""The alert of a finished run; a retraining, with all its runs, is one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.alerts.alert import (
    Alert,
    Fact,
    Kind,
    Link,
    asset_link,
    materialize_command,
    named,
    one_line,
    run_link,
)
from mlops_assets.alerts.run_summary import DRIFT, PERFORMANCE, SCORE, Materialised, RunSummary, read_run_summary
from mlops_assets.assets.requested_predictions import JOB as ON_REQUEST
from mlops_assets.automation.retraining import FINISHED, RETRAIN, retraining_id
from mlops_assets.project import Project
from mlops_assets.run_tags import RETRAINING, STARTED_BY, partitions_of


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
        return _Report(project, whole, parts, is_retraining=is_retraining).alert()
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


class _Report:
    """A finished run in words. `parts`: the runs that did the work, of which it may be the only one itself."""

    def __init__(
        self, project: Project, whole: RunSummary, parts: Sequence[RunSummary], *, is_retraining: bool
    ) -> None:
        self._project, self._settings = project, project.settings
        self._whole, self._parts, self._is_retraining = whole, parts, is_retraining
        self._failed = [part for part in parts if not part.succeeded]
        self._blocked = json.loads(whole.run.tags.get(FINISHED, "{}")).get("blocked", [])
        failed_checks = [(part, check) for part in parts for check in part.failed_checks]
        self._drifts = [one for one in failed_checks if _is_of(DRIFT, one)]
        self._checks = [one for one in failed_checks if one not in self._drifts]
        self._verdict = next((part.verdict for part in parts if part.verdict), None)

    def alert(self) -> Alert:
        run = self._whole.run
        return Alert(
            key=f"run:{run.run_id}",
            kinds=tuple(self._kinds()),
            happened_at=datetime.fromtimestamp(self._whole.ended_at, UTC),
            title=one_line(self._project, self._title()),
            cause=one_line(self._project, self._cause()),
            facts=tuple(self._facts()),
            details=tuple(one_line(self._project, line) for line in self._details()),
            command=self._command(),
            links=tuple(self._links()),
        )

    def _kinds(self) -> Iterator[Kind]:
        if self._failed or self._blocked or self._checks or not self._whole.succeeded:
            yield "failure"
        if self._verdict:
            yield "champion"
        if self._drifts or any(_is_of(PERFORMANCE, one) for one in self._checks):
            yield "drift"
        if self._whole.succeeded:
            yield "success"

    def _title(self) -> str:
        canceled = self._whole.run.status == dg.DagsterRunStatus.CANCELED
        end = "done" if self._whole.succeeded else "was canceled" if canceled else "failed"
        news = [_decision(self._verdict)] if self._verdict else []
        if self._is_retraining:
            news += [f"{len(self._failed)} of {len(self._parts)} parts failed"] if self._failed else []
            news += [f"{len(self._blocked)} not tried"] if self._blocked else []
            news += [_checks_failed(len(self._checks))] if self._checks else []
            news += [self._drift()] if self._drifts else []
            return f"retraining {end}: {'; '.join(news) or 'the champion stays as it was'}"
        if not self._whole.succeeded:
            return f"{self._whole.name} {end}"
        news += [f"{self._whole.name}: {_checks_failed(len(self._checks))}"] if self._checks else []
        news += [self._drift()] if self._drifts else []
        return "; ".join(news) or f"{self._whole.name} succeeded"

    def _cause(self) -> str:
        if not self._whole.succeeded:
            return self._whole.cause
        if self._verdict:
            return self._verdict.metadata["verdict"]
        if self._failed:
            return f"{self._failed[0].name}: {self._failed[0].cause}"
        if self._checks or self._drifts:
            return _check_line(*[*self._checks, *self._drifts][0])
        reasons = [one.metadata["reason"] for one in self._materialised() if "reason" in one.metadata]
        return f"made because: {reasons[-1]}" if reasons else "it went well"

    def _facts(self) -> Iterator[Fact]:
        if not self._is_retraining:
            yield Fact("Asset" if self._whole.asset else "Run", self._whole.name)
        if self._verdict:
            yield from _champion_facts(self._verdict, self._project.spec.target.unit)
        yield Fact("Started by", self._whole.run.tags.get(STARTED_BY, "manual"))
        yield Fact("Took", _duration(self._whole.seconds))
        yield Fact("Ended", f"{datetime.fromtimestamp(self._whole.ended_at, UTC):%Y-%m-%d %H:%M:%S} UTC")

    def _details(self) -> Iterator[str]:
        if self._is_retraining:
            yield from (f"{part.name} failed: {part.cause}" for part in self._failed)
            yield from (f"{name} was not tried: what it needs is not there" for name in self._blocked)
        yield from (_check_line(*failed) for failed in [*self._checks, *self._drifts])
        for one in self._materialised():
            # In a retraining every model type is tuned, then fitted: the fit is what counts.
            is_fit = not self._is_retraining or "model_type" in one.metadata
            if one.computed and SCORE in one.metadata and is_fit:
                yield _score_line(one, self._project.spec.target.unit)

    def _command(self) -> str | None:
        broken = self._failed[0] if self._failed else self._whole
        if broken.asset and not broken.succeeded:
            return materialize_command(broken.asset, broken.partition or partitions_of(broken.run.tags))
        if not self._whole.succeeded:
            return f"dagster job launch -m mlops_assets.definitions -j {self._whole.run.job_name}"
        if self._checks:
            return f"mlops-assets why {self._checks[0][1].asset_key.to_user_string()}"
        return "mlops-assets history" if self._verdict else None

    def _drift(self) -> str:
        periods = sorted({check.partition or part.partition or "" for part, check in self._drifts})
        return f"drift in {', '.join(periods)}"

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
            for name in ("registered_model", "mlflow"):
                if name in one.metadata:
                    return one.metadata[name]
        return self._settings.mlflow_url

    def _materialised(self) -> Iterator[Materialised]:
        """What the run and its parts have made."""
        for part in self._parts:
            yield from part.materialised


def _is_of(asset: str, failed: tuple[RunSummary, dg.AssetCheckEvaluation]) -> bool:
    return failed[1].asset_key.to_user_string() == asset


def _decision(verdict: Materialised) -> str:
    values = verdict.metadata
    challenger, champion = values.get("challenger"), values.get("champion_type")
    if values.get("decision") == "promoted":
        return f"{challenger} is the new champion"
    if values.get("decision") == "proposed":
        return f"{challenger} waits for your approval as champion"
    return f"{challenger} does not become champion" + (f" in place of {champion}" if champion != "none" else "")


def _champion_facts(verdict: Materialised, unit: str) -> Iterator[Fact]:
    values, before = verdict.metadata, verdict.before
    now = f"{values.get('champion_type')} (version {values.get('champion_version')})"
    if values.get("decision") == "promoted":
        former = f"{before.get('champion_type')} (version {before.get('champion_version')})" if before else "none"
        yield Fact("Champion", f"{former} -> {now}")
    else:
        yield Fact("Champion", f"{now} stays")
    if number := values.get("proposed_version"):
        yield Fact("Approve", f"mlops-assets approve {number} --why ...")
    judged_on = values.get("judged_on", "test")
    if "champion_rmse" in values:
        rmse = f"{_rmse(values['champion_rmse'], unit)} -> {_rmse(values['challenger_rmse'], unit)}"
        yield Fact(f"RMSE ({judged_on})", f"{rmse} of the challenger {values['challenger']}")
        yield Fact(
            "Gain", f"{values['gain']:.2%}, interval of the RMSE {values['gain_low']:.4g} to {values['gain_high']:.4g}"
        )
    elif "challenger_rmse" in values:
        yield Fact(f"RMSE ({judged_on})", f"{_rmse(values['challenger_rmse'], unit)} of {values['challenger']}")


def _score_line(one: Materialised, unit: str) -> str:
    now, before = one.metadata[SCORE], one.before.get(SCORE)
    change = f"{_rmse(before, unit)} -> {_rmse(now, unit)}" if before is not None else _rmse(now, unit)
    return f"{named(one.metadata.get('model_type') or one.name, None)}: validation RMSE {change}"


def _check_line(part: RunSummary, check: dg.AssetCheckEvaluation) -> str:
    where = named(check.asset_key.to_user_string(), check.partition or part.partition)
    about = f": {check.description}" if check.description else ""
    return f"check {check.check_name} of {where} failed ({check.severity.value}){about}"


def _checks_failed(count: int) -> str:
    return "1 check failed" if count == 1 else f"{count} checks failed"


def _rmse(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}" if unit else f"{value:.4g}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes)
    return " ".join([*parts, f"{seconds} s"])
