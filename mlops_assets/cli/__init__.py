"""The command line: `mlops-assets`.

In: words and settings. Out: what a terminal shows, and an exit code: 0, 1 where a part failed, 2 for one clear error.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlops_assets.disks import disk_trouble
from mlops_assets.errors import MlopsError
from mlops_assets.settings import read_settings

app = typer.Typer(help="The command line: `mlops-assets`.", no_args_is_help=True, pretty_exceptions_enable=False)
mail = typer.Typer(help="Mail and webhooks: whether they arrive, and what they look like.", no_args_is_help=True)
app.add_typer(mail, name="mail")


ALLOCATIONS = 20_000  # more objects than were let go, until garbage is looked for; Python's own number is 700


@contextmanager
def importing() -> Iterator[None]:
    """Import much without looking for garbage, which takes a fifth of the time; what is imported is never looked at.

    From then on garbage is looked for less often: fits and tables make few objects, and let go of them themselves.
    """
    if "dagster" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(ALLOCATIONS)
        gc.enable()


AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON, for programs.")]


class Launchable(StrEnum):
    """What `launch` launches."""

    PREDICT = "predict"
    RETRAIN = "retrain"
    TUNE = "tune"


@app.command()
def init(
    table: Annotated[
        str, typer.Argument(help="A file or its URL, a folder or pattern of files by period, or a database's URL.")
    ],
    target: Annotated[str | None, typer.Option(help="The column to predict; asked for, or listed, without it.")] = None,
    name: Annotated[str | None, typer.Option("--table", help="Of a database: the table, `schema.table` too.")] = None,
    out: Annotated[Path | None, typer.Option(help="The YAML to write; named after the table without it.")] = None,
    run: Annotated[
        bool | None,
        typer.Option(help="Then `doctor` and a first run of few trials; asked on a terminal without it."),
    ] = None,
) -> None:
    """Look at a table, and write the YAML that it can be learnt from, with reasons."""
    from mlops_assets.cli.init import try_out, write_yaml

    settings = write_yaml(table, name, target, out)
    raise typer.Exit(try_out(settings, run))


@app.command()
def run() -> None:
    """Run the whole pipeline: whatever is not up to date, and nothing else."""
    with importing():
        from mlops_assets.cli.run import run_pipeline

    raise typer.Exit(run_pipeline())


@app.command()
def why(
    asset: Annotated[str, typer.Argument(help="An asset, such as training_set; `all` for every one.")],
    as_json: AsJson = False,
) -> None:
    """Say why an asset would, or would not, be computed again: code, settings, data or what is upstream."""
    with importing():
        from mlops_assets.cli.run import explain

    explain(asset, as_json=as_json)


@app.command()
def predict(
    rows: Annotated[
        Path | None, typer.Argument(help="A .json, .csv or .parquet file of rows under their aliases; - reads JSON.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file for rows and answers; answers are printed without it.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Version of the model; the champion without it.")] = None,
    sql: Annotated[str | None, typer.Option(help="Query that gives the rows, instead of a file.")] = None,
    database: Annotated[
        str | None,
        typer.Option(help="Environment variable with the URL that --sql asks; the dataset's own source without it."),
    ] = None,
) -> None:
    """Predict rows of a file or a query with the champion."""
    with importing():
        from mlops_assets.cli.predict import Question, predict_rows

    predict_rows(Question(rows, sql, database), output, version)


@app.command()
def rollback() -> None:
    """Give the alias `champion` back to the version that held it before."""
    from mlops_assets.cli.operation import roll_back

    roll_back()


@app.command()
def approve(
    version: Annotated[int, typer.Argument(help="Number of the proposed version.")],
    why: Annotated[str, typer.Option(help="Why; it is kept in the history.")],
    by: Annotated[str | None, typer.Option(help="Who approves; by default the user of this machine.")] = None,
) -> None:
    """Make the version champion that the gate has proposed (MLOPS_PROMOTION=propose)."""
    from mlops_assets.cli.operation import approve_version

    approve_version(version, why, by)


@app.command()
def history(
    verify: Annotated[bool, typer.Option("--verify", help="Check that it is as it was written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Who was champion when, and why."""
    from mlops_assets.cli.operation import show_history

    show_history(verify=verify, as_json=as_json)


@app.command()
def backtest(
    policy: Annotated[
        list[str] | None,
        typer.Option(help="never, window-1, window-3, window-6, window-12, drift or gate; repeated for several."),
    ] = None,
    model_type: Annotated[
        str | None, typer.Option(help="One of MLOPS_MODEL_TYPES; the champion's, or the last, without it.")
    ] = None,
    start: Annotated[int, typer.Option(min=2, help="Periods that every policy begins with.")] = 3,
    trials: Annotated[int, typer.Option(min=1, help="Points of the search space tried on those periods.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Walk policies of retraining over the periods: how good, and how dear, each would have been."""
    with importing():
        from mlops_assets.cli.backtest import run_backtest

    raise typer.Exit(run_backtest(policy or [], model_type, start, trials, as_json=as_json))


@app.command()
def doctor(
    services: Annotated[bool, typer.Option("--services", help="A service that does not run is a fault, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, dataset, source, databases, MLflow, mail and services; the exit code is the number of faults."""
    with importing():
        from mlops_assets.cli.doctor import examine

    raise typer.Exit(examine(with_services=services, as_json=as_json))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, compressed if it ends in gz; - writes to a pipe.")],
    dump: Annotated[
        Path | None, typer.Option(help="What `pg_dump --format=custom` wrote elsewhere; it is called here without.")
    ] = None,
) -> None:
    """Write everything that is kept into one file: home folder and databases. Nothing has to be stopped."""
    from mlops_assets.cli.operation import make_backup

    make_backup(file, dump)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` has written; - reads from a pipe.")],
    replace: Annotated[bool, typer.Option("--replace", help="Remove what is there now.")] = False,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Leave PostgreSQL alone: pg_restore was called elsewhere.")
    ] = False,
) -> None:
    """Put everything back from a backup, here or on another machine; stop the services before."""
    from mlops_assets.cli.operation import restore_backup

    restore_backup(file, replace=replace, with_database=not files_only)


@app.command()
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what has outlived the days of the settings, and nothing that is still needed."""
    from mlops_assets.cli.operation import clean_up

    clean_up(dry_run=dry_run, as_json=as_json)


@mail.command("test")
def mail_test(as_json: AsJson = False) -> None:
    """Send a test message to every recipient and webhook that the settings name."""
    from mlops_assets.cli.mail import send_test

    send_test(as_json=as_json)


@mail.command("preview")
def mail_preview(
    folder: Annotated[Path, typer.Argument(help="Folder that the pages are written to.")] = Path("mail-preview"),
    as_json: AsJson = False,
) -> None:
    """Write every kind of mail as an HTML page, of made-up numbers."""
    from mlops_assets.cli.mail import write_previews

    write_previews(folder, as_json=as_json)


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI.")] = 5001,
    serve_port: Annotated[
        int | None, typer.Option(help="Port of form and dashboards; MLOPS_SERVE_PORT without it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print what the servers say, too.")] = False,
) -> None:
    """Start the Dagster UI with its daemon, the MLflow UI, and form and dashboards beside them."""
    with importing():
        from mlops_assets.cli.dev import serve_and_leave

    serve_and_leave(port, mlflow_port, serve_port, verbose=verbose)


@app.command()
def mlflow(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 5001,
) -> None:
    """Serve MLflow's UI and API from the database that the settings name, until it is stopped."""
    from mlops_assets.cli.dev import serve_tracking

    serve_tracking(host, port)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to serve on; MLOPS_SERVE_HOST without it.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on; MLOPS_SERVE_PORT without it.")] = None,
) -> None:
    """Serve predictions of the champion, the form and the dashboards over HTTP, until it is stopped."""
    with importing():
        from mlops_assets.cli.serve import serve_predictions

    serve_predictions(host, port)


@app.command()
def new_key() -> None:
    """Make an API key: print it, and the hash to keep in the settings."""
    from mlops_assets.cli.serve import print_new_key

    print_new_key()


@app.command()
def new_signing_key() -> None:
    """Print a new pair of keys: one signs models where they are trained, the other checks them where they answer."""
    from mlops_assets.cli.signing import print_new_signing_key

    print_new_signing_key()


@app.command()
def launch(
    what: Annotated[Launchable, typer.Argument(help="What to launch.")],
    rows: Annotated[str | None, typer.Option(help="To predict: rows as JSON; - reads them.")] = None,
    file: Annotated[str | None, typer.Option(help="To predict: path or URL of a file, as the run sees it.")] = None,
    version: Annotated[int, typer.Option(help="To predict: version of the model; 0 takes the champion.")] = 0,
    model_type: Annotated[str | None, typer.Option(help="To tune: the model type.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, and print what came out.")] = False,
    url: Annotated[str | None, typer.Option(help="Address of Dagster; that of the settings without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Launch a run through Dagster's API, on this machine or another."""
    from mlops_assets.cli.launch import Request, launch_run

    request = Request(what, rows=rows, file=file, version=version, model_type=model_type)
    raise typer.Exit(launch_run(request, url, wait=wait, as_json=as_json))


def main() -> None:
    """Entry point: an expected error is one line on standard error and exit code 2, never a traceback.

    A disk may be full, or fail, wherever a library writes; a line of a log that cannot be written is left out.
    """
    logging.raiseExceptions = False
    try:
        app(prog_name="mlops-assets")
    except MlopsError as error:
        reason = str(error)
    except OSError as error:
        place = Path(error.filename) if isinstance(error.filename, str) else read_settings().home_path
        if not (trouble := disk_trouble(error, place)):
            raise
        reason = trouble
    else:
        return
    print(f"mlops-assets: {reason}", file=sys.stderr)
    sys.exit(2)
