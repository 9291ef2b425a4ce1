"""Late flights in December: a run beside boosted trees tuned on plain encodings in the same CPU, and how far both hold.

One month says little of it: in December flights are late twice as often as in November. So all walk forward over the
months before it too, each judged by the one after those that it knows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.homes import Home
from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.prepare.splitting import Periods, SplitName
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.core.training_set import Parts, Rows
    from mlops_assets.core.types import MatrixKind
    from mlops_assets.dataset import DatasetSpec

DATASET, SEED, CPU_MINUTES = "nyc_flights_late", 7, 1.0
MODEL_TYPES = ("LogisticRegression", "HistGradientBoostingClassifier", "XGBoost", "Ensemble")
FIRST_JUDGED = 4  # months before it; the first that has three to learn from
RIVALS = ("LightGBM", "CatBoost", "HistGradientBoostingClassifier")
LOSS = Figure(
    "log loss on late flights, December 2013, beside boosted trees with plain encodings",
    "best of them or better",
    f"the candidate that is best on November, of a run of `{DATASET}` with MLOPS_CPU_MINUTES={CPU_MINUTES:g} and "
    f"MLOPS_MODEL_TYPES={','.join(MODEL_TYPES)}, refitted on January to November; the others with as many CPU minutes "
    "each, on codes of categories and the numbers as they are, with our search spaces, hyperopt and early stopping on "
    "November, refitted alike",
)
FORWARD = Figure(
    "the same walking forward, months May to November",
    "best of them or better",
    "each with its parameters from the row above, found on November for all alike, learns from all months before but "
    "the last, which stops, weighs and calibrates it, and is judged by the next: mean over the seven. Equal to four "
    "digits is as good",
)
CALIBRATION = Figure(
    "late flights: calibration error and 90 % sets on December",
    "ECE 0.02 or less; sets cover 88 to 92 % overall and by class",
    "the same candidate; 15 bins of equal rows. Sets and probabilities are calibrated on November",
)
FORWARD_CALIBRATION = Figure(
    "the same walking forward, months May to November: calibration error and 90 % sets",
    CALIBRATION.reach,
    "mean over the seven; beside it with probabilities always scaled by the month before (Platt)",
)


def measure(places: Places) -> Report:
    settings = {"MLOPS_MODEL_TYPES": ",".join(MODEL_TYPES), "MLOPS_CPU_MINUTES": str(CPU_MINUTES)}
    with Home.fresh(MLOPS_DATASET=DATASET, **settings) as home:
        home.run(codes=(0, 1))
        ours = call(judged, home.env).value
    found = {f"ours: {ours['model']}": ours}
    walked = {f"ours: {ours['model']}": call(walk_forward, points=ours["points"], is_plain=False).value}
    for name in RIVALS:
        line = f"{name}, plain encodings"
        found[line] = call(rival, model_type=name, cpu_seconds=CPU_MINUTES * 60).value
        walked[line] = call(walk_forward, points=found[line]["points"], is_plain=True).value
    (_, us), *them = walked.items()
    covers, mean_covers = ([of["covers"], *of["by_class"]] for of in (ours, us))
    best, best_forward = min(found[name]["loss"] for name, _ in them), min(of["loss"] for _, of in them)
    told = f"ECE {us['ece']:.3f}, always scaled {us['scaled_ece']:.3f}; {_held(mean_covers)}"
    rows = [
        LOSS.measured(_beside(ours["loss"], best), _at_most(ours["loss"], best)),
        FORWARD.measured(_beside(us["loss"], best_forward), _at_most(us["loss"], best_forward)),
        CALIBRATION.measured(f"ECE {ours['ece']:.3f}; {_held(covers)}", _holds(ours["ece"], covers)),
        FORWARD_CALIBRATION.measured(told, _holds(us["ece"], mean_covers)),
    ]
    lines = [
        (
            name,
            f"{of['loss']:.4f}",
            _beyond(of, ours),
            f"{walked[name]['loss']:.4f}",
            _beyond(walked[name], us),
            f"{of['ece']:.3f}",
            str(of["trials"]),
        )
        for name, of in found.items()
    ]
    header = ("model", "log loss", "beyond ours, 95 % by days", "walking forward", "beyond ours", "ECE", "trials")
    return Report(rows, [Table("Late flights, December 2013", header, tuple(lines))])


def _beyond(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """By how much more they lose on the same rows, as the gate would say it: rows of a day move together."""
    import numpy as np

    from mlops_assets.core.metrics import Clusters, estimate

    if theirs is ours:
        return "–"
    if theirs["days"] != ours["days"]:
        raise ValueError("losses are not of the same rows")
    days = Clusters("days", np.unique(ours["days"], return_inverse=True)[1])
    losses = np.array([ours["losses"], theirs["losses"]])
    interval = estimate(losses, [days], lambda means: means[1] - means[0]).interval(0.95)
    return f"{interval.low:+.4f} to {interval.high:+.4f}"


def _beside(loss: float, best: float) -> str:
    return f"{loss:.4f}; best of the others {best:.4f}"


def _at_most(loss: float, best: float) -> bool:
    return round(loss, 4) <= round(best, 4)


def _held(covers: list[float]) -> str:
    return f"{covers[0]:.1%} overall, {covers[1]:.1%} of those in time, {covers[2]:.1%} of late"


def _holds(error: float, covers: list[float]) -> bool:
    return error <= 0.02 and all(0.88 <= share <= 0.92 for share in covers)


def judged() -> dict[str, Any]:
    """What the best candidate of a home says of the test month, and the parameters of all that it is made of."""
    from mlops_assets.assets import champion_model, models
    from mlops_assets.assets.records import Records
    from mlops_assets.assets.training_set import window_of
    from mlops_assets.core.learners.ensemble import weights_of
    from mlops_assets.core.training_set import gather
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    with open_instance(project) as instance:
        records = Records(instance)
        built = records.newest("training_set")
        fitted = models.fitted_on(records, project, built)
        candidates = champion_model.candidates(records, project, built)
        window = window_of(records, project, built)
    best = min(candidates.values(), key=lambda record: record.value(project.target.metric.key("validation")))
    model = project.registry.load(best.value("version"))
    test = gather(window, window.periods, window.share)["test"]
    said = model.answer(test.columns).classes
    members = weights_of(model.estimator) or [model.model_type]
    points = {name: fitted[name].value("best_parameters") for name in members}
    trials = sum(record.value("trials") for record in fitted.values())
    about = {"model": model.model_type, "trials": trials, "points": points}
    return told(said.probabilities, said.likely, test, project.spec.time.column) | about


def told(probabilities: Any, likely: Any, rows: Rows, time: str) -> dict[str, Any]:
    """How good probabilities (n, k) and sets (n, k) of rows are; each row's loss and day, for comparisons."""
    import numpy as np

    from mlops_assets.core.targets.class_scores import calibration_error
    from mlops_assets.core.targets.metrics import LOG_LOSS

    code = rows.y.astype(int)
    held = likely[np.arange(len(code)), code]
    of_class = [float(held[code == number].mean()) for number in range(probabilities.shape[1])]
    losses, ece = LOG_LOSS.losses(rows.y, probabilities), calibration_error(rows.y, probabilities)
    days = rows.columns[time].astype("datetime64[D]").astype(int)
    by_row = {"losses": losses.tolist(), "days": days.tolist()}
    return {"loss": float(losses.mean()), "ece": ece, "covers": float(held.mean()), "by_class": of_class} | by_row


def rival(model_type: str, cpu_seconds: float) -> dict[str, Any]:
    """Boosted trees on plain encodings of all months, tuned for so many CPU seconds on November."""
    import time

    import numpy as np

    from mlops_assets.assets.final_fit import REFIT_ROUNDS
    from mlops_assets.core.columns import evenly_spread
    from mlops_assets.core.learners.estimators import FitData, fit, predict
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.prepare.splitting import choose_periods
    from mlops_assets.core.search.suggestions import make_suggester
    from mlops_assets.settings import Settings

    flights = _Flights.read()
    target = flights.target
    kind = resolve_model_type(model_type, target=target)
    periods = choose_periods(flights.months, flights.spec.window)
    rows = flights.split(periods)
    encoded = flights.plain(rows)
    (X, y), held, (X_test, _) = ((encoded.matrix(kind.matrix, name), rows[name].y) for name in rows)
    tuned = evenly_spread(len(y), Settings().tuning_rows)  # as ours
    data = FitData.of(target, X[tuned], y[tuned], encoded.categorical, held)
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
    both = FitData.of(target, np.concatenate([X, held[0]]), np.concatenate([y, held[1]]), encoded.categorical)
    final = fit(kind, point, both, seed=SEED, threads=1, rounds=rounds and round(rounds * REFIT_ROUNDS))
    output = target.output(predict(final.estimator, X_test))
    about = {"trials": trials, "points": {model_type: point}}
    return told(output, output > 0, rows["test"], flights.spec.time.column) | about


def walk_forward(points: Mapping[str, Mapping[str, Any]], is_plain: bool) -> dict[str, Any]:
    """Mean scores, over the months, of model types with these parameters: of their blend, where there are several."""
    import numpy as np

    months = [*_walk(points, is_plain)]
    by_row = {name: [value for month in months for value in month.pop(name)] for name in ("losses", "days")}
    return by_row | {name: np.mean([month[name] for month in months], axis=0).tolist() for name in months[0]}


def _walk(points: Mapping[str, Mapping[str, Any]], is_plain: bool) -> Iterator[dict[str, Any]]:
    from mlops_assets.core.learners.ensemble import blend, learn_weights
    from mlops_assets.core.learners.estimators import FitData, fit, predict
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.prepare.splitting import Periods
    from mlops_assets.core.targets.scaling import by_shape

    flights = _Flights.read()
    target = flights.target
    for place in range(FIRST_JUDGED, len(flights.months) - 1):  # without December
        periods = Periods(flights.months[: place - 1], (flights.months[place - 1],), (flights.months[place],))
        rows = flights.split(periods)
        y = {name: part.y for name, part in rows.items()}
        raws, laters = [], []
        with tempfile.TemporaryDirectory() as folder:
            encoded = flights.plain(rows) if is_plain else flights.encoded(rows, periods, Path(folder))
            for name, point in points.items():
                kind = resolve_model_type(name, target=target)
                X = {split: encoded.matrix(kind.matrix, split) for split in rows}
                held = X["validation"], y["validation"]
                data = FitData.of(target, X["train"], y["train"], encoded.categorical, held)
                estimator = fit(kind, point, data, seed=SEED, threads=1).estimator
                raws.append(predict(estimator, held[0]))
                laters.append(predict(estimator, X["test"]))
        weights = learn_weights(raws, y["validation"], target)
        raw, later = blend(raws, weights), blend(laters, weights)
        rule = target.learn(raw, y["validation"], 0.9, of_one_period=True)
        output = target.output(later, rule)
        of = rows["test"], flights.spec.time.column
        scaled = told(by_shape(raw, y["validation"]).probabilities(later), rule.sets(output), *of)
        yield told(output, rule.sets(output), *of) | {"scaled_ece": scaled["ece"]}


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Matrices by their kind and split, and which columns of dense ones are categories."""

    matrix: Callable[[MatrixKind, SplitName], Any]
    categorical: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class _Flights:
    """The dataset, and the clean rows of each of its months."""

    spec: DatasetSpec
    target: TargetKind
    tables: Mapping[str, pa.Table]

    @classmethod
    def read(cls) -> _Flights:
        from mlops_assets.core.prepare.cleaning import clean
        from mlops_assets.core.targets.kinds import target_of
        from mlops_assets.dataset import load_dataset
        from mlops_assets.sources import open_source

        with tempfile.TemporaryDirectory() as folder:
            spec = load_dataset(DATASET, {})
            source = open_source(spec, Path(folder), timeout=30, retries=0)
            tables = {month: clean(spec, source.read(month), month).table for month in sorted(source.partitions())}
        return cls(spec, target_of(spec.target), tables)

    @property
    def months(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def split(self, periods: Periods) -> Parts:
        from mlops_assets.core.training_set import split_rows

        return split_rows(self.spec, [self.tables[month] for month in periods.all], periods, SEED)

    def encoded(self, rows: Parts, periods: Periods, folder: Path) -> _Encoded:
        """As ours are."""
        from mlops_assets.core.training_set import TrainingSet, write_training_set

        write_training_set(folder, self.spec, [rows], periods, SEED)
        stored = TrainingSet.load(folder)
        return _Encoded(stored.matrix, tuple(stored.categorical))

    def plain(self, rows: Parts) -> _Encoded:
        """Codes of categories by the train split, numbers as they are."""
        import numpy as np

        from mlops_assets.core.features.categories import Vocabulary
        from mlops_assets.core.features.derive import derive

        derived = {split: derive(self.spec.features, part.columns) for split, part in rows.items()}
        names = self.spec.features.categorical
        known = {name: Vocabulary.fit(derived["train"][name]) for name in names}
        numbers = [name for name, values in derived["train"].items() if values.dtype.kind == "f" and name not in names]

        def matrix(kind: MatrixKind, split: SplitName) -> Any:
            of = derived[split]
            codes = [np.where((code := known[name].encode(of[name])) < 0, np.nan, code) for name in names]
            return np.column_stack([*codes, *(of[name] for name in numbers)]).astype(np.float32)

        return _Encoded(matrix, (True,) * len(names) + (False,) * len(numbers))
