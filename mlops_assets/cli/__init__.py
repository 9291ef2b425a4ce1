"""The command line: `mlops-assets`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlops_assets.errors import MlopsError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run() -> None:
    """Run the whole pipeline: whatever is not up to date, and nothing else."""
    from mlops_assets.cli.run import run_pipeline

    raise typer.Exit(run_pipeline())


@app.command()
def why(
    asset: Annotated[str, typer.Argument(help="An asset, such as training_set; `all` for every one.")],
) -> None:
    """Say why an asset would, or would not, be computed again: code, settings, data or what is upstream."""
    from mlops_assets.cli.run import explain

    explain(asset)


@app.command()
def predict(
    rows: Annotated[Path, typer.Argument(help="A .json or .csv file of rows under their aliases; - reads JSON.")],
    output: Annotated[Path | None, typer.Option(help="CSV file for the answer; printed as JSON without it.")] = None,
    version: Annotated[int | None, typer.Option(help="Version of the model; the champion without it.")] = None,
) -> None:
    """Predict rows with the champion."""
    from mlops_assets.cli.predict import predict_rows

    predict_rows(rows, output, version)


@app.command()
def rollback() -> None:
    """Give the alias `champion` back to the version that held it before."""
    from mlops_assets.cli.champion import roll_back

    roll_back()


@app.command()
def history() -> None:
    """Who was champion when, and why."""
    from mlops_assets.cli.champion import show_history

    show_history()


@app.command()
def backtest(
    policy: Annotated[
        list[str] | None,
        typer.Option(help="never, window-1, window-3, window-6, window-12, drift or gate; repeated for several."),
    ] = None,
    model_type: Annotated[
        str | None, typer.Option(help="One of MLOPS_MODEL_TYPES; the champion's, or the last, without it.")
    ] = None,
    start: Annotated[int, typer.Option(min=2, help="Months that every policy begins with.")] = 3,
    trials: Annotated[int, typer.Option(min=1, help="Points of the search space tried on those months.")] = 1,
) -> None:
    """Walk policies of retraining over the months: how good, and how dear, each would have been."""
    from mlops_assets.cli.backtest import run_backtest

    raise typer.Exit(run_backtest(policy or [], model_type, start, trials))


@app.command()
def doctor() -> None:
    """Check settings, dataset, source, databases, MLflow and mail; the exit code is the number of faults."""
    from mlops_assets.cli.doctor import examine

    raise typer.Exit(examine())


@app.command()
def mail_test() -> None:
    """Send a test mail to every recipient that the settings name."""
    from mlops_assets.cli.mail import send_test

    send_test()


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI.")] = 5001,
) -> None:
    """Start the Dagster UI with its daemon, and the MLflow UI beside it."""
    from mlops_assets.cli.dev import serve

    raise typer.Exit(serve(port, mlflow_port))


def main() -> None:
    """Entry point: an expected error is one line on standard error and exit code 2, never a traceback."""
    try:
        app(prog_name="mlops-assets")
    except MlopsError as error:
        print(f"mlops-assets: {error}", file=sys.stderr)
        sys.exit(2)
