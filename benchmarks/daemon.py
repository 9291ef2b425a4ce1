"""Retraining under a real daemon beside `mlops-assets run` of the same work."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks import periods
from benchmarks.measuring import Usage, call, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Row
from benchmarks.site import Site

TINY, BEFORE, PATIENCE = 4_200, 4, 1_800
LOOK = 20  # seconds between looks, each of which costs CPU seconds
FIRST = Figure(
    "the first retraining of a tiny table under the daemon, beside `mlops-assets run`",
    "at most 2 times its wall time",
    f"13 months, {TINY:,} made-up sales, Ridge with one trial; from the launch of the run `retrain` to its end",
)
MONTH = Figure(
    f"a new taxi month under the daemon, {BEFORE} months before, beside `mlops-assets run` of the same work",
    "at most 1.5 times its wall time",
    "Ridge and XGBoost with 3 trials each; wall from the launch of the run `retrain`, by a sensor, to its end; CPU of "
    "the daemon and all below it",
)


def measure(places: Places) -> Report:
    with _tiny(places) as site:
        beside = _command(site)
    with _tiny(places) as site:
        site.start()
        site.run("dagster", "job", "launch", "-w", "workspace.yaml", "-j", "retrain").check_returncode()
        tiny = _retraining(site)
    rows = [_beside(FIRST, tiny, beside, most=2)]
    if len(places.months) <= BEFORE:
        return Report([*rows, MONTH.absent()])
    with learnt(places) as site:
        _publish_next(site, places)
        beside = _command(site)
    with learnt(places) as site:
        site.start()
        time.sleep(30)  # its first looks are over
        _publish_next(site, places)
        month = _retraining(site)
    return Report([*rows, _beside(MONTH, month, beside, most=1.5)])


@contextmanager
def _tiny(places: Places) -> Iterator[Site]:
    """A site whose table is made up, and was never read."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = periods.write_sales(root / "sales", "month", TINY)[:-1]
        document = periods.dataset(root, "month", names) | {"window": {"train_periods": 11}}
        (root / "shop.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        own = {"MLOPS_DATASET": str(root / "shop.yaml"), "MLOPS_SOURCE_URI": ""}
        with _stopped(Site(root, places.data, **own, MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="1")) as site:
            yield site


@contextmanager
def learnt(places: Places) -> Iterator[Site]:
    """A site that has learnt from the first months."""
    with tempfile.TemporaryDirectory() as folder, _stopped(Site(Path(folder), places.data)) as site:
        for month in places.months[:BEFORE]:
            site.publish(month)
        _command(site)
        yield site


@contextmanager
def _stopped(site: Site) -> Iterator[Site]:
    try:
        yield site
    finally:
        site.stop()


def _publish_next(site: Site, places: Places) -> None:
    site.publish(places.months[BEFORE])


def _command(site: Site) -> Usage:
    """What `mlops-assets run` costs."""
    return run([Path(sys.executable).with_name("mlops-assets"), "run"], site.env).usage


def _retraining(site: Site) -> Usage:
    """Wall seconds of the one retraining of a site, and CPU seconds of its daemon meanwhile."""
    before, waited = site.cpu_seconds(), _waited(lambda: call(ended, site.env).value)
    return Usage(waited, site.cpu_seconds() - before, 0)


def ended() -> float | None:
    """Seconds from the launch of the newest retraining to its end; None as long as there is none."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        (record,) = instance.get_run_records(dg.RunsFilter(job_name="retrain"), limit=1) or [None]
    if record is None or not record.dagster_run.is_finished:
        return None
    if not record.dagster_run.is_success:
        sys.exit(f"the retraining ended with {record.dagster_run.status.value}")
    return (record.end_time or 0) - record.create_timestamp.timestamp()


def _waited(ask: Callable[[], float | None]) -> float:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (value := ask()) is not None:
            return value
        time.sleep(LOOK)
    sys.exit(f"no retraining ended within {PATIENCE} s")


def _beside(figure: Figure, daemon: Usage, command: Usage, most: float) -> Row:
    ratio, cpu = daemon.wall / command.wall, daemon.cpu / command.cpu
    said = f"{ratio:.2f} times: {daemon.wall:.0f} : {command.wall:.0f} s; CPU {cpu:.2f} times"
    return figure.measured(said, ratio <= most)
