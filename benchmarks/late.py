"""Late flights in December: a run beside boosted trees tuned on plain encodings in the same CPU, and how far both hold.

The month before is no measure of it: flights are late twice as often as in November. So calibration is shown walking
forward over the months before too, each judged by the one after it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.homes import Home
from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

if TYPE_CHECKING:
    from mlops_assets.core.learners.model_types import ModelType

DATASET, SEED, CPU_MINUTES = "nyc_flights_late", 7, 1.0
FIRST_JUDGED = 4  # months before it; the first that has three to learn from
RIVALS = ("LightGBM", "CatBoost", "HistGradientBoostingClassifier")
LOSS = Figure(
    "log loss on late flights, December 2013, beside boosted trees with plain encodings",
    "best of them or better",
    f"the candidate that is best on November, of a run of `{DATASET}` with MLOPS_CPU_MINUTES={CPU_MINUTES:g}, refitted "
    "on January to November; the others with as many CPU minutes each, on codes of categories and the numbers as they "
    "are, with our search spaces, hyperopt and early stopping on November, refitted alike",
)
CALIBRATION = Figure(
    "late flights: calibration error and 90 % sets on December",
    "ECE 0.02 or less; sets cover 88 to 92 % overall and by class",
    "the same candidate; 15 bins of equal rows. Each set holds the likeliest class, which alone is right for 97 % of "
    "flights in time: to be right for 90 % of these, sets would have to leave it out in up to one answer of six",
)
FORWARD = Figure(
    "the same walking forward, months May to November",
    "",
    "XGBoost from the start of its space learns from all months before but the last, which is validation, and is "
    "judged by the next: mean over the seven; beside it with probabilities always scaled by that month (Platt)",
)


def measure(places: Places) -> Report:
    with Home.fresh(MLOPS_DATASET=DATASET, MLOPS_CPU_MINUTES=str(CPU_MINUTES)) as home:
        home.run(codes=(0, 1))
        ours = call(judged, home.env).value
    lines = [(f"ours: {ours['model']}", f"{ours['loss']:.4f}", f"{ours['ece']:.3f}", str(ours["trials"]))]
    for name in RIVALS:
        found = call(rival, model_type=name, cpu_seconds=CPU_MINUTES * 60).value
        lines.append((f"{name}, plain encodings", f"{found['loss']:.4f}", f"{found['ece']:.3f}", str(found["trials"])))
    best = min(float(line[1]) for line in lines[1:])
    rows = [LOSS.measured(f"{ours['loss']:.4f}; best of the others {best:.4f}", round(ours["loss"], 4) <= best)]
    covers = [ours["covers"], *ours["by_class"]]
    held = f"ECE {ours['ece']:.3f}; {covers[0]:.1%} overall, {covers[1]:.1%} of those in time, {covers[2]:.1%} of late"
    rows.append(CALIBRATION.measured(held, ours["ece"] <= 0.02 and all(0.88 <= share <= 0.92 for share in covers)))
    walked = call(walk_forward).value
    mean = {name: sum(month[name] for month in walked) / len(walked) for name in walked[0]}
    told = f"ECE {mean['ece']:.3f}, log loss {mean['loss']:.4f}; always scaled: {mean['scaled_ece']:.3f}, "
    rows.append(FORWARD.measured(f"{told}{mean['scaled_loss']:.4f}; sets cover {mean['covers']:.1%}"))
    return Report(rows, [Table("Late flights, December 2013", ("model", "log loss", "ECE", "trials"), tuple(lines))])


def judged() -> dict[str, Any]:
    """What the challenger of a home says of the test month."""
    from mlops_assets.assets import models
    from mlops_assets.assets.records import Records
    from mlops_assets.assets.training_set import window_of
    from mlops_assets.core.training_set import gather
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    with open_instance(project) as instance:
        records = Records(instance)
        built = records.newest("training_set")
        fitted = models.fitted_on(records, project, built)
        window = window_of(records, project, built)
    best = min(fitted.values(), key=lambda record: record.value(project.target.metric.key("validation")))
    model = project.registry.load(best.value("version"))
    test = gather(window, window.periods, window.share)["test"]
    said = model.answer(test.columns).classes
    trials = sum(record.value("trials") for record in fitted.values())
    return told(said.probabilities, said.likely, test.y) | {"model": model.model_type, "trials": trials}


def told(probabilities: Any, likely: Any, y: Any) -> dict[str, Any]:
    """How good probabilities (n, k) and sets (n, k) of true codes (n,) are."""
    import numpy as np

    from mlops_assets.core.targets.class_scores import calibration_error
    from mlops_assets.core.targets.metrics import LOG_LOSS

    code = y.astype(int)
    held = likely[np.arange(len(code)), code]
    of_class = [float(held[code == number].mean()) for number in range(probabilities.shape[1])]
    loss, ece = float(LOG_LOSS(y, probabilities)), calibration_error(y, probabilities)
    return {"loss": loss, "ece": ece, "covers": float(held.mean()), "by_class": of_class}


def rival(model_type: str, cpu_seconds: float) -> dict[str, Any]:
    """Boosted trees on plain encodings of all months, tuned for so many CPU seconds on November."""
    import time

    import numpy as np

    from mlops_assets.assets.final_fit import REFIT_ROUNDS
    from mlops_assets.core.columns import evenly_spread
    from mlops_assets.core.learners.estimators import FitData, fit, predict
    from mlops_assets.core.search.suggestions import make_suggester
    from mlops_assets.settings import Settings

    kind, parts, categorical = _plain(model_type)
    target, (X, y), held, (X_test, y_test) = kind.target, parts["train"], parts["validation"], parts["test"]
    tuned = evenly_spread(len(y), Settings().tuning_rows)  # as ours
    data = FitData.of(target, X[tuned], y[tuned], categorical, held)
    first = [kind.space.adopt(kind.space.start)]
    suggester = make_suggester(kind.space, seed=SEED, startup=8, first=first)
    began, lowest, chosen, trials = time.process_time(), np.inf, None, 0
    while time.process_time() - began < cpu_seconds and (point := suggester.next()) is not None:
        fitted = fit(kind, point, data, seed=SEED, threads=1)
        loss = float(target.metric(held[1], target.output(predict(fitted.estimator, held[0]))))
        suggester.tell(trials, loss)
        trials += 1
        if loss < lowest:
            lowest, chosen = loss, (point, fitted.rounds)
    point, rounds = chosen
    both = FitData.of(target, np.concatenate([X, held[0]]), np.concatenate([y, held[1]]), categorical)
    final = fit(kind, point, both, seed=SEED, threads=1, rounds=rounds and round(rounds * REFIT_ROUNDS))
    output = target.output(predict(final.estimator, X_test))
    return told(output, output > 0, y_test) | {"trials": trials}


def _plain(model_type: str) -> tuple[ModelType, dict[str, Any], tuple[bool, ...]]:
    """Matrix and truths of each split: codes of categories by the train split, numbers as they are."""
    import numpy as np

    from mlops_assets.core.features.categories import Vocabulary
    from mlops_assets.core.features.derive import derive
    from mlops_assets.core.learners.model_types import resolve_model_type

    with tempfile.TemporaryDirectory() as folder:
        spec, target, months, tables = _flights(folder)
        from mlops_assets.core.prepare.splitting import choose_periods
        from mlops_assets.core.training_set import split_rows

        periods = choose_periods(months, spec.window)
        rows = split_rows(spec, [tables[month] for month in periods.all], periods, SEED)
        derived = {name: derive(spec.features, rows[name].columns) for name in rows}
    names = spec.features.categorical
    known = {name: Vocabulary.fit(derived["train"][name]) for name in names}
    numbers = [name for name, values in derived["train"].items() if values.dtype.kind == "f" and name not in names]

    def matrix(name: str) -> Any:
        codes = [np.where((code := known[it].encode(derived[name][it])) < 0, np.nan, code) for it in names]
        return np.column_stack([*codes, *(derived[name][it] for it in numbers)]).astype(np.float32)

    parts = {name: (matrix(name), rows[name].y) for name in rows}
    categorical = (True,) * len(names) + (False,) * len(numbers)
    return resolve_model_type(model_type, target=target), parts, categorical


def walk_forward() -> list[dict[str, float]]:
    """For each month the scores of the month before it as validation."""
    return [*_walk()]


def _walk() -> Iterator[dict[str, float]]:
    import numpy as np

    from mlops_assets.core.learners.estimators import FitData, fit, predict
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.prepare.splitting import Periods
    from mlops_assets.core.targets.scaling import by_shape
    from mlops_assets.core.training_set import TrainingSet, split_rows, write_training_set

    with tempfile.TemporaryDirectory() as name:
        spec, target, months, tables = _flights(name)
        kind = resolve_model_type("XGBoost", target=target)
        point = kind.space.adopt(kind.space.start)
        for place in range(FIRST_JUDGED, len(months) - 1):  # without December
            periods = Periods(months[: place - 1], (months[place - 1],), (months[place],))
            folder = Path(name, months[place])
            folder.mkdir()
            rows = split_rows(spec, [tables[month] for month in periods.all], periods, SEED)
            write_training_set(folder, spec, [rows], periods, SEED)
            stored = TrainingSet.load(folder)
            X, y = ({it: np.array(of(it)) for it in ("train", "validation", "test")} for of in _readers(stored))
            held = X["validation"], y["validation"]
            data = FitData.of(target, X["train"], y["train"], stored.categorical, held, names=stored.dense_names)
            estimator = fit(kind, point, data, seed=SEED, threads=1).estimator
            raw, later = predict(estimator, held[0]), predict(estimator, X["test"])
            rule = target.learn(raw, held[1], 0.9, of_one_period=True)
            output = target.output(later, rule)
            scaled = told(by_shape(raw, held[1]).probabilities(later), rule.sets(output), y["test"])
            found = told(output, rule.sets(output), y["test"])
            yield {it: found[it] for it in ("loss", "ece", "covers")} | {
                f"scaled_{it}": scaled[it] for it in ("loss", "ece")
            }


def _readers(stored: Any) -> tuple[Any, Any]:
    return lambda name: stored.matrix("dense", name), stored.target


def _flights(folder: str) -> tuple[Any, Any, tuple[str, ...], dict[str, Any]]:
    """The spec, its target, its months, and the clean rows of each."""
    from mlops_assets.core.prepare.cleaning import clean
    from mlops_assets.core.targets.kinds import target_of
    from mlops_assets.dataset import load_dataset
    from mlops_assets.sources import open_source

    spec = load_dataset(DATASET, {})
    source = open_source(spec, Path(folder), timeout=30, retries=0)
    months = tuple(sorted(source.partitions()))
    return spec, target_of(spec.target), months, {it: clean(spec, source.read(it), it).table for it in months}
