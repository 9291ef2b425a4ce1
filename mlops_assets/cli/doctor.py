"""`doctor`: is everything reachable that the settings name, and what of it runs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import dagster as dg
from rich.console import Console
from rich.markup import escape

from mlops_assets.alerts.alert import KINDS
from mlops_assets.alerts.channels import recipients
from mlops_assets.alerts.mail import MailChannel
from mlops_assets.alerts.smtp import Mailer
from mlops_assets.assets.records import BYTES, Record, Records
from mlops_assets.cli.terminal import print_json
from mlops_assets.dataset import DatasetSpec
from mlops_assets.disks import damaged_database, damaged_databases, disk_of, disk_trouble, free_space
from mlops_assets.errors import MlopsError, ServiceError, StorageError
from mlops_assets.instance import dagster_databases, dagster_home, damaged_record, open_instance
from mlops_assets.project import Project, open_project
from mlops_assets.resources.databases.database import LOST as LOST_WITH_OWN
from mlops_assets.resources.mlflow.tables import LOST as LOST_WITH_MLFLOW
from mlops_assets.resources.mlflow.tables import sqlite_file

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS = 5  # to wait for an answer
LEAST_FREE = 100_000_000  # bytes that a small run needs


@dataclass(frozen=True)
class Finding:
    """What a check has found, in words; it is a fault unless it `passed` or was not `needed`."""

    check: str
    passed: bool
    needed: bool
    told: str


def examine(*, with_services: bool, as_json: bool = False) -> int:
    """Print a line a check; gives the number of faults. A service that does not run is one `with_services`."""
    console, findings = Console(), []
    for finding in _findings(with_services):
        findings.append(finding)
        if not as_json:
            mark = "[green]✓[/green]" if finding.passed else "[red]✗[/red]" if finding.needed else "[dim]○[/dim]"
            console.print(f"{mark} {finding.check}: {escape(finding.told)}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    return sum(finding.needed and not finding.passed for finding in findings)


def _findings(with_services: bool) -> Iterator[Finding]:
    try:
        project = open_project()
    except MlopsError as error:
        yield Finding("settings and dataset", False, True, str(error))
        return
    yield Finding("settings and dataset", True, True, project.spec.name)
    for told in project.spec.old_keys:
        yield Finding("old names", False, False, f"{project.settings.dataset}: {told}; the old name still works")
    for checks, needed in ((_CHECKS, True), (SERVICES, with_services)):
        for name, check in checks.items():
            yield _finding(name, check, project, needed)


def _finding(name: str, check: Callable[[Project], str], project: Project, needed: bool) -> Finding:
    try:
        return Finding(name, True, needed, check(project))
    except MlopsError as error:
        return Finding(name, False, needed, str(error))


def _model_types(project: Project) -> str:
    return ", ".join(project.listed_types) if project.model_types else ""


def _home(project: Project) -> str:
    home = project.settings.home_path
    try:
        home.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=home) as file:
            file.write(bytes(LEAST_FREE // 100))
            file.flush()
    except OSError as error:
        reason = disk_trouble(error, home) or f"{error.strerror} (set MLOPS_HOME)"
        raise StorageError(f"cannot be written to: {reason}") from None
    free, size = free_space(home), sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    line = f"{size / 1e9:.1f} GB in {home.name}, {free / 1e9:.1f} GB free on the disk at {disk_of(home)}"
    if free < LEAST_FREE:
        raise StorageError(f"{line}: a run may not end, make room (mlops-assets clean --dry-run says what would go)")
    return line


def _files(project: Project) -> str:
    """SQLite's quick check of every database in the home folder, and the size of what assets have written."""
    file, own = sqlite_file(project.settings.tracking), project.database.file
    databases = [(place, lost) for place, lost in ((file, LOST_WITH_MLFLOW), (own, LOST_WITH_OWN)) if place]
    for place, lost in databases:
        for damaged, fault in damaged_databases([place]):
            raise StorageError(f"{damaged_database(damaged, lost)} ({fault})")
    of_dagster = [] if project.settings.postgres else dagster_databases(dagster_home(project))
    for damaged, fault in damaged_databases(of_dagster):
        raise StorageError(f"{damaged_record(damaged)} ({fault})")
    count = sum(place.exists() for place, _ in databases) + len(of_dagster)
    artefacts = _artefacts(project) if of_dagster or project.settings.postgres else 0
    return f"{count} SQLite database(s) and {artefacts} artefact(s) are whole"


def _artefacts(project: Project) -> int:
    """How many files and folders of assets there are; raises StorageError where some are not as they were written."""
    with open_instance(project) as instance:
        names = [key.to_user_string() for key in instance.get_asset_keys()]
        records = [record for name in names for record in _records(instance, name) if record.path]
    if damaged := [record.stored_path for record in records if not _is_there(project, record)]:
        raise StorageError(f"{', '.join(damaged)}: gone, or not as large as it was written; `run` makes it again")
    return len(records)


def _is_there(project: Project, record: Record) -> bool:
    path = record.stored_path
    return project.storage.exists(path) and project.storage.has_size(path, record.value(BYTES))


def _records(instance: dg.DagsterInstance, asset: str) -> list[Record]:
    """The newest materialisation of an asset, or of each of its partitions."""
    whole = Records(instance).latest(asset)
    of_partitions = Records(instance).all_latest(asset)
    return list(of_partitions.values()) or ([whole] if whole else [])


def _source(project: Project) -> str:
    """What there is, and what the target is taken for, which the newest rows must bear out."""
    from mlops_assets.core.columns import from_table
    from mlops_assets.core.prepare.cleaning import target
    from mlops_assets.sources import stream_rows
    from mlops_assets.sources.normalise import schema

    spec, keys = project.spec, sorted(project.source.partitions())
    if not keys:
        return "reachable, but empty"
    rows = next(stream_rows(project.source, keys[-1]), schema(spec).empty_table())
    y = target(spec, from_table(rows, spec.target.columns))
    line = f"{len(keys)} partition(s), {keys[0]} to {keys[-1]}; the target is {project.target.told(y)}"
    return "; ".join([line, *_no_numbers(spec, rows)])


def _no_numbers(spec: DatasetSpec, rows: pa.Table) -> Iterator[str]:
    """A sentence for each column with a number such as -999 that may mean none."""
    import pyarrow.compute as pc

    from mlops_assets.onboarding.profile import sentinel

    for alias, column in spec.columns.items():
        if column.type in ("number", "integer") and (mark := sentinel(rows[alias])) is not None:
            count = pc.sum(pc.equal(rows[alias], mark)).as_py()
            shown = "a number" if any(map(spec.hides, spec.source_names(alias))) else f"{mark:g}"
            yield (
                f"{alias} is {shown} in {count:,} of {len(rows):,} rows, far from all others: "
                f"set columns.{alias}.missing_values if that means none"
            )


def _dagster(project: Project) -> str:
    with open_instance(project) as instance:
        kind = "PostgreSQL" if project.settings.postgres else "SQLite"
        return f"{kind}, {instance.get_runs_count()} runs on record"


def _mlflow(project: Project) -> str:
    return project.tracking.check()


def _database(project: Project) -> str:
    revision = project.database.revision()
    return f"{project.prediction_log.count():,} rows in the prediction log (tables at revision {revision})"


def _workers(project: Project) -> str:
    from mlops_assets.resources.dask.cluster import DaskCluster

    named = (where.partition(":") for where in (project.settings.trials, project.settings.final_fit))
    clusters = []
    for address in sorted({address for kind, _, address in named if kind == "dask"}):
        with DaskCluster(address) as cluster:
            clusters.append(f"{cluster.workers} at {address}, with this code")
    return "; ".join(clusters) or "not set up (MLOPS_TRIALS, MLOPS_FINAL_FIT)"


def _mail(project: Project) -> str:
    settings = project.settings
    if not settings.smtp_host:
        return "not set up (MLOPS_SMTP_HOST)"
    count = len(recipients([MailChannel(settings, project.spec.name)], KINDS))
    return f"{Mailer(settings).check()}; {count or 'no'} recipient(s)"


def _webserver(project: Project) -> str:
    from mlops_assets.resources.dagster_client import LaunchClient

    url = project.settings.launch_url
    return f"Dagster {LaunchClient(url, SECONDS).version()} at {url}"


def _code_location(project: Project) -> str:
    from mlops_assets.resources.dagster_client import LaunchClient

    return LaunchClient(project.settings.launch_url, SECONDS).code_location()


def _daemon(project: Project) -> str:
    from mlops_assets.resources.dagster_client import heartbeat_ages, silent

    with open_instance(project) as instance:
        ages = heartbeat_ages(instance, datetime.now(UTC))
    if parts := silent(ages):
        who = "it" if len(parts) == len(ages) else f"its {', '.join(parts)}"
        raise ServiceError(f"{who} was not heard of for minutes: start it (mlops-assets dev, or dagster-daemon run)")
    return f"heard of {max(age for age in ages.values() if age is not None):.0f} s ago"


def _predictions(project: Project) -> str:
    import requests

    url = project.settings.predictions_url
    try:
        answer = requests.get(f"{url}/ready", timeout=SECONDS)
        ready = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise ServiceError(
            f"{url} does not answer ({type(error).__name__}): start it (mlops-assets serve), "
            "or say where it is (MLOPS_SERVE_URL)"
        ) from None
    if not answer.ok:
        raise ServiceError(f"{url} answers no requests: {ready['error']['message']}")
    return f"version {ready['model_version']} answers at {url}"


_CHECKS = {
    "model types": _model_types,
    "home folder": _home,
    "files": _files,
    "source": _source,
    "Dagster's storage": _dagster,
    "MLflow": _mlflow,
    "own tables": _database,
    "workers": _workers,
    "mail": _mail,
}
SERVICES: dict[str, Callable[[Project], str]] = {
    "webserver": _webserver,
    "code location": _code_location,
    "daemon": _daemon,
    "predictions": _predictions,
}
