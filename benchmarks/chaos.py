"""Kill -9 at random points of retrainings under a real daemon, and say whether anything was lost or done twice.

    python -m benchmarks.chaos --data FOLDER [--kills 20] [--seed 1]

FOLDER holds monthly green-taxi files. A worker of a run, the daemon, or both with the code server are killed in
turn; the daemon is started again. In the end a look at the event log, MLflow and the registry tells what came of it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.site import Site, settled

KINDS = ("worker", "daemon", "everything")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _run(Site(Path(folder), options.data.resolve()), options.kills, random.Random(options.seed))


def _run(site: Site, kills: int, chance: random.Random) -> int:
    os.environ.update(site.env)
    import dagster as dg

    from mlops_assets.automation.retraining import active_retraining
    from mlops_assets.project import open_project

    available = sorted(path.stem[-7:] for path in site.data.glob("green_tripdata_*.parquet"))
    months, later = available[:4], available[4:]
    for month in months:
        site.publish(month)
    project = open_project()
    project.tracking.check()
    killed, bad_champion, less = Counter(), 0, 0
    try:
        with dg.DagsterInstance.get() as instance:
            instance.get_runs(limit=1)  # makes the databases: two processes at once would spoil them
            site.start()
            made = 0
            while sum(killed.values()) < kills:
                time.sleep(1)
                if site.daemon.poll() is not None:
                    raise SystemExit(f"the daemon ended by itself: see {site.root / 'daemon.log'}")
                if active_retraining(instance) and _parts_made(instance) > made:
                    time.sleep(chance.uniform(0, 10))
                    bad_champion += not _champion_answers(project)
                    made = _parts_made(instance)
                    hit = site.kill(KINDS[sum(killed.values()) % 3], chance)
                    if hit in KINDS:
                        killed[hit] += 1
                        print(f"{sum(killed.values())}: {hit}, after {made} parts", flush=True)
                elif not active_retraining(instance) and settled(instance, project):
                    if later:
                        months.append(later.pop(0))
                        site.publish(months[-1])
                    else:
                        less += 100
                        site.publish(months[-1], less)
            deadline = time.monotonic() + 900
            while time.monotonic() < deadline and (active_retraining(instance) or not settled(instance, project)):
                time.sleep(5)
            time.sleep(20)  # the sensor that tidies MLflow
            return _report(instance, project, months, killed, bad_champion)
    finally:
        site.stop()


def _parts_made(instance) -> int:
    """Runs of retrainings' parts that succeeded so far: a kill comes after some progress, never twice at one point."""
    import dagster as dg

    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    return sum("mlops/task" in run.tags for run in runs)


def _champion_answers(project) -> bool:
    """Whether the alias names a version that loads; there may be none at first."""
    champion = project.registry.champion()
    return champion is None or project.registry.load(champion.number) is not None


def _report(instance, project, months, killed, bad_champion) -> int:
    from mlops_assets.assets.records import Records
    from mlops_assets.core.prepare.splitting import SPLITS

    built = Records(instance).newest("training_set")
    window = {month for split in SPLITS for month in built.value(f"{split}_periods").split(", ")}
    wanted = set(months[-4:])
    runs = project.tracking.client.search_runs([project.tracking.experiment_id], max_results=5000)
    running = [run.info.run_name for run in runs if run.info.status == "RUNNING"]
    fits = Counter(
        (run.data.tags["model_type"], run.data.tags["training_set"])
        for run in runs
        if run.info.status == "FINISHED" and run.info.run_name.startswith("fit ")
    )
    twice = {key: count for key, count in fits.items() if count > 1}
    training_sets = len({content for _, content in fits})
    print(f"killed: {dict(killed)}; training sets: {training_sets}; fits: {sum(fits.values())}")
    print(f"window {sorted(window)}, wanted {sorted(wanted)}; fitted twice: {twice}; left RUNNING: {running}")
    print(f"champion version {project.registry.champion().number}; looks at which it did not answer: {bad_champion}")
    return int(bool(twice or running or bad_champion or window != wanted))


if __name__ == "__main__":
    sys.exit(main())
