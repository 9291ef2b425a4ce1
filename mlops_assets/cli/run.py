"""`run` and `why`: make what is stale, or only say what would be made."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.records import Records
from mlops_assets.assets.training_set import chosen_periods
from mlops_assets.automation.retraining import why_not_now
from mlops_assets.cli.runner import Outcome, Runner, close_dead_runs, exclusive
from mlops_assets.cli.terminal import (
    TerminalProgress,
    leaderboard_table,
    open_console,
    outcomes_table,
    print_json,
    reasons_table,
)
from mlops_assets.errors import StorageError
from mlops_assets.instance import open_instance
from mlops_assets.project import Project, open_project

if TYPE_CHECKING:
    import dagster as dg


def run_pipeline() -> int:
    """Run everything that is stale: 0, 1 where any part could not be made, or 130 where it was interrupted."""
    console = open_console()
    project = open_project()
    console.print(f"[bold]{project.spec.name}[/bold]: {escape(project.spec.redact(project.spec.description))}")
    with exclusive(project), open_instance(project) as instance:
        if dead := close_dead_runs(instance, project):
            console.print(f"{dead} run(s) of an earlier, killed process were closed; their work goes on where it was.")
        if reason := why_not_now(instance, project):
            raise StorageError(f"{reason}: wait for it, or cancel it")
        try:
            outcomes = _work(instance, project, console)
        except KeyboardInterrupt:
            console.print("Interrupted: the next run goes on where this one stopped.")
            return 130
        console.print(outcomes_table(outcomes))
        _show_champion(instance, project, console, outcomes)
    failed = any(outcome.error for outcome in outcomes)
    waiting = [outcome.task for outcome in outcomes if outcome.task.waits_for]
    if waiting and not failed:
        line = f"{waiting[0].name} cannot be made: {waiting[0].waits_for}"
        console.print(line, style="red", markup=False, highlight=False)
    return 1 if failed or waiting else 0


def _work(instance: dg.DagsterInstance, project: Project, console: Console) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with TerminalProgress(console) as progress:
        runner = Runner(instance, project, progress)
        for asset in runner.plan.assets:
            made = make_asset(runner, asset, progress)
            outcomes += made
            for failure in _failures(made):
                progress.say(failure)
            if all(outcome.error for outcome in made) and runner.plan.all_rest_on(asset):
                progress.say(f"Nothing else can be made without {asset}.")
                break
    return outcomes


def make_asset(runner: Runner, asset: str, progress: TerminalProgress) -> list[Outcome]:
    """Make what is stale of an asset, and tell of all its partitions."""
    tasks = runner.plan.tasks(asset)
    progress.stage(asset, len(tasks))
    stale = [task for task in tasks if task.stale and not task.waits_for]
    outcomes = [Outcome(task) for task in tasks if task not in stale]
    for outcome in outcomes:
        progress.done(_state(outcome))
    for part in runner.plan.parts(stale):
        progress.part(part)
        made = runner.make(part)
        outcomes += made
        progress.done(_state(next((outcome for outcome in made if outcome.error), made[-1])), len(made))
    return outcomes


def _failures(outcomes: list[Outcome]) -> list[str]:
    """A line for each failure, partitions that failed alike in one."""
    alike: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.error:
            without_name = outcome.error.replace(outcome.task.partition or "", "")
            alike.setdefault((outcome.task.asset, without_name), []).append(outcome)
    return [
        f"{first.task.name} failed: {first.error}" + (f" (and {len(others)} more failed like it)" if others else "")
        for first, *others in alike.values()
    ]


def _state(outcome: Outcome) -> str:
    if outcome.error:
        return f"[red]{escape(outcome.task.partition or '')} failed[/red]"
    return "computed" if outcome.run_id else "waits" if outcome.task.waits_for else "up to date"


def _show_champion(instance: dg.DagsterInstance, project: Project, console: Console, outcomes: list[Outcome]) -> None:
    record = Records(instance).latest("champion_model")
    if record is None:
        return
    if not any(outcome.task.stale for outcome in outcomes):
        console.print("Nothing to do: every asset is up to date.")
    rows, target = record.value("leaderboard_rows"), project.target
    console.print(leaderboard_table(rows, record.value("judged_on"), target, project.settings.confidence))
    console.print(record.value("verdict"), style="bold", markup=False)
    if record.value("not_fitted") != "none":
        line = f"Without a model for this training set: {record.value('not_fitted')}"
        console.print(line, style="red", markup=False, highlight=False)
    if version := record.value("champion_version"):
        console.print(f"Champion: version {version}, {escape(record.value('champion_type'))}.")
        if all(outcome.run_id and not outcome.error for outcome in outcomes if outcome.task.asset == "champion_model"):
            _show_example(instance, project, console, version)
    console.print(
        "Next: `make dev` opens Dagster, MLflow, form and dashboards; docs/own-data.md brings your own table."
    )


def _show_example(instance: dg.DagsterInstance, project: Project, console: Console, version: int) -> None:
    """One real row of the newest period, what the champion says, and what it was."""
    from mlops_assets.core.prepare.cleaning import TARGET

    periods, cleaned = chosen_periods(Records(instance), project)
    row = project.storage.read_table(cleaned[periods.all[-1]].stored_path).slice(0, 1).to_pandas()
    prediction = project.registry.load(version).predict(row)[0]
    first = row.iloc[0]
    missing = row.isna().iloc[0]
    inputs = ", ".join(f"{it} missing" if missing[it] else f"{it}={first[it]}" for it in project.spec.inputs())
    example = f"For example: {inputs}\n  -> {project.target.sentence(prediction, row[TARGET].iloc[0])}"
    console.print(example, markup=False, highlight=False)


def explain(asset: str, *, as_json: bool) -> None:
    """Print why an asset, or all of them, would be computed again."""
    project = open_project()
    with open_instance(project) as instance:
        plan = Plan(instance, project)
        if asset != "all":
            plan.require(asset)
        explained = plan.explain()
        names = plan.assets if asset == "all" else (asset,)
    tasks = [task for name in names for task in explained[name]]
    if as_json:
        print_json([asdict(task) | {"stale": task.stale} for task in tasks])
    else:
        Console().print(reasons_table(tasks))
