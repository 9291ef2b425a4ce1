"""`run` and `why`: make what is stale, or only say what would be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.records import all_latest, latest
from mlops_assets.cli.home import open_instance
from mlops_assets.cli.runner import Outcome, Runner, close_dead_runs, exclusive
from mlops_assets.cli.show import TerminalProgress, leaderboard_table, outcomes_table, reasons_table
from mlops_assets.project import Project, open_project

if TYPE_CHECKING:
    import dagster as dg


def run_pipeline() -> int:
    """Run everything that is stale; 1 where any part failed, else 0."""
    console = Console()
    project = open_project()
    console.print(f"[bold]{project.spec.name}[/bold]: {project.spec.description}")
    with exclusive(project), open_instance(project.settings) as instance:
        if dead := close_dead_runs(instance, project):
            console.print(
                f"{dead} run(s) of an earlier, killed process were closed; their work goes on where it was."
            )
        outcomes = _work(instance, project, console)
        console.print(outcomes_table(outcomes))
        _show_champion(instance, project, console, any(outcome.run_id for outcome in outcomes))
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        console.print(f"[red]{outcome.task.name} failed:[/red] {outcome.error}", highlight=False)
    return 1 if failed else 0


def _work(instance: dg.DagsterInstance, project: Project, console: Console) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with TerminalProgress(console) as progress:
        runner = Runner(instance, project, progress)
        for asset in runner.plan.assets:
            tasks = runner.plan.tasks(asset)
            progress.stage(asset, len(tasks))
            for task in tasks:
                if task.stale and not task.waits_for:
                    progress.task(task)
                outcome = runner.make(task)
                outcomes.append(outcome)
                progress.done(_state(outcome))
    return outcomes


def _state(outcome: Outcome) -> str:
    if outcome.error:
        return f"[red]{outcome.task.partition or ''} failed[/red]"
    return "computed" if outcome.run_id else "waits" if outcome.task.waits_for else "up to date"


def _show_champion(instance: dg.DagsterInstance, project: Project, console: Console, worked: bool) -> None:
    record = latest(instance, "champion_model")
    if record is None:
        return
    if not worked:
        console.print("Nothing to do: every asset is up to date.")
    rows, settings, unit = record.value("leaderboard_rows"), project.settings, project.spec.target.unit
    console.print(leaderboard_table(rows, record.value("judged_on"), unit, settings.confidence))
    console.print(f"[bold]{record.value('verdict')}[/bold]")
    if record.value("not_fitted") != "none":
        console.print(f"[red]Without a model for this training set: {record.value('not_fitted')}[/red]")
    if record.value("champion_version"):
        console.print(
            f"Champion: version {record.value('champion_version')}, {record.value('champion_type')}."
        )
        if worked:
            _show_example(instance, project, console, record.value("champion_version"))
    console.print(
        "Next: `make dev` opens the Dagster and MLflow UIs; docs/own-data.md brings your own table."
    )


def _show_example(instance: dg.DagsterInstance, project: Project, console: Console, version: int) -> None:
    """One real row of the newest month, what the champion says, and what it was."""
    from mlops_assets.core.cleaning import TARGET

    newest = list(all_latest(instance, "clean_data").values())[-1]
    row = project.storage.read_table(newest.path).slice(0, 1).to_pandas()
    prediction = project.registry.load(version).predict(row)[0]
    inputs = ", ".join(f"{alias}={row[alias].iloc[0]}" for alias in project.spec.inputs())
    unit = project.spec.target.unit
    console.print(
        f"For example: {inputs}\n  -> {prediction:.2f} {unit} (it was {row[TARGET].iloc[0]:g})",
        highlight=False,
    )


def explain(asset: str) -> None:
    """Print why an asset, or all of them, would be computed again."""
    project = open_project()
    with open_instance(project.settings) as instance:
        plan = Plan(instance, project)
        if asset != "all":
            plan.require(asset)
        explained = plan.explain()
        names = plan.assets if asset == "all" else (asset,)
        Console().print(reasons_table([task for name in names for task in explained[name]]))
