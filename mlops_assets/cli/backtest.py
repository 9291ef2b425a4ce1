"""`backtest`: policies of retraining, walked forward over the periods; it goes on where it was stopped."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlops_assets.assets.backtest_report import JOB, NAME
from mlops_assets.assets.memo import INTERRUPTED, why_failed
from mlops_assets.assets.records import Records
from mlops_assets.automation.retraining import why_not_now
from mlops_assets.cli.run import make_asset
from mlops_assets.cli.runner import Runner, close_dead_runs, exclusive
from mlops_assets.cli.terminal import TerminalProgress, open_console, print_json
from mlops_assets.definitions import build_definitions
from mlops_assets.errors import DataError, StorageError
from mlops_assets.instance import open_instance
from mlops_assets.project import Project, open_project
from mlops_assets.run_tags import launched_here

if TYPE_CHECKING:
    from mlops_assets.assets.records import Record, Records

PREPARED = ("raw_data", "clean_data")


def run_backtest(policies: list[str], model_type: str | None, start: int, trials: int, *, as_json: bool) -> int:
    """Prepare the periods, walk, and print what came out: 0, or 130 where it was interrupted."""
    from mlops_assets.core.judge.backtest import choose_policies

    chosen = [policy.name for policy in choose_policies(policies)]
    console, project = open_console(aside=as_json), open_project()
    config = {"policies": chosen, "model_type": model_type or "", "start": start, "trials": trials}
    with exclusive(project), open_instance(project) as instance:
        close_dead_runs(instance, project)
        if reason := why_not_now(instance, project):
            raise StorageError(f"{reason}: wait for it, or cancel it")
        try:
            with TerminalProgress(console) as progress:
                _prepare(instance, project, progress)
                _walk(instance, project, progress, config)
        except KeyboardInterrupt:
            console.print("Interrupted: the next backtest goes on where this one stopped.")
            return 130
        record = Records(instance).newest(NAME)
    if as_json:
        print_json(_answer(project, record))
    else:
        _show(console, project, record)
    return 0


def _answer(project: Project, record: Record) -> dict[str, Any]:
    from mlops_assets.core.judge.backtest import steps_of, summarise

    steps, metric = steps_of(record.value("backtest_rows")), project.target.metric
    return {
        "model_type": record.value("model_type"),
        "periods": sorted({step.period for step in steps}),
        "metric": metric.name,
        "unit": metric.unit_of(project.target.unit),
        "recomputed": record.value("recomputed"),
        "policies": [asdict(summary) | {"policy": summary.policy.name} for summary in summarise(steps)],
    }


def _prepare(instance: dg.DagsterInstance, project: Project, progress: TerminalProgress) -> None:
    """Ingest and clean what is not up to date; a period that fails is left out, as in a run."""
    runner = Runner(instance, project, progress)
    for asset in PREPARED:
        make_asset(runner, asset, progress)


def _walk(instance: dg.DagsterInstance, project: Project, progress: TerminalProgress, config: dict[str, Any]) -> None:
    progress.stage(JOB, 1)
    job = build_definitions(project, progress).resolve_job_def(JOB)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(
        instance=instance,
        tags=launched_here(),
        run_config=quiet | {"ops": {NAME: {"config": config}}},
        raise_on_error=False,
    )
    if not result.success:
        cause = why_failed(result.all_events)
        if cause == INTERRUPTED:
            raise KeyboardInterrupt
        raise DataError(cause)


def _show(console: Console, project: Project, record: Record) -> None:
    from mlops_assets.core.judge.backtest import HEADER, cells, steps_of, summarise

    steps = steps_of(record.value("backtest_rows"))
    periods = sorted(step.period for step in steps)
    walked = f"{record.value('model_type')}, {periods[0]} to {periods[-1]}"
    title = f"Backtest of {walked}: {project.target.metric.heading(project.target.unit)}"
    table = Table(title=title, title_justify="left")
    for heading in HEADER:
        table.add_column(heading, justify="left" if heading in HEADER[:2] else "right")
    for summary in summarise(steps):
        table.add_row(*(escape(cell) for cell in cells(summary)))
    console.print(table)
    if not record.value("recomputed"):
        console.print("Nothing has changed since the last backtest: this is its result.")
    console.print("Error and cost by period: backtest_report in the Dagster UI (make dev).")
