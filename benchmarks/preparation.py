"""Preparation: from files to matrices, beside the tutorial's algorithm and beside merely reading the columns."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measuring import Ran, call, in_turns, middle, timed
from benchmarks.places import Places
from benchmarks.results import Figure, Report, one_in
from benchmarks.taxi import FULL, SEED, TUTORIAL, Taxi

REPEATS = 7
COLUMNS = ("lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "DOLocationID", "trip_distance")
METHOD = (
    "Work alone: a first preparation of two months in the same process, not counted, pays for imports. "
    "The newest month is validation"
)
BESIDE = Figure(
    "preparation of all months at hand, CPU beside the tutorial's algorithm",
    "1/20 or less",
    f"read, clean, split, one-hot pairs and distance, train and validation. {METHOD}; the tutorial also vectorises all "
    "rows together, for its final models",
)
FULL_SPEC = Figure(
    "the same with all features of `nyc_green_taxi`",
    "",
    "calendar, holidays, 8 out-of-fold target encodings; both matrices of both splits, where the tutorial has one",
)


def measure(places: Places) -> Report:
    if len(places.months) < 2 or not places.baseline:
        return Report([BESIDE.absent(), FULL_SPEC.absent()])
    files, own = [places.file(month) for month in places.months], {"source_uri": places.source_uri}
    own |= {"months": places.months}
    tutorial, ours, full, floor = in_turns(
        REPEATS,
        lambda: call(tutorial_way, baseline=str(places.baseline), files=files, split=f"{places.months[-1]}-01"),
        lambda: call(our_way, dataset=TUTORIAL, kinds=["one_hot"], **own),
        lambda: call(our_way, dataset=FULL, kinds=["one_hot", "dense"], **own),
        lambda: call(read_only, files=files),
    )
    beside = _cpu(tutorial)
    text = f"{one_in(_cpu(ours) / beside)}: {_cost(ours)}; tutorial {_cost(tutorial)}; reading alone {_cost(floor)}"
    text = f"{len(files)} months, {ours[0].value['rows']:,} rows: {text}"
    rest = f"{one_in(_cpu(full) / beside)}: {_cost(full)}"
    return Report([BESIDE.measured(text, _cpu(ours) <= beside / 20), FULL_SPEC.measured(rest)])


def _cpu(runs: Sequence[Ran]) -> float:
    return middle(runs, lambda ran: ran.value["cpu"])


def _cost(runs: Sequence[Ran]) -> str:
    return f"{_cpu(runs):.2f} CPU s, peak {middle(runs, lambda ran: ran.usage.peak_mb):,.0f} MB"


def our_way(dataset: str, source_uri: str, months: list[str], kinds: list[str]) -> dict[str, Any]:
    from mlops_assets.core.features.encoder import fit_encoder

    taxi = Taxi(dataset, source_uri)
    features = taxi.spec.features

    def prepare(months: list[str]) -> int:
        parts = taxi.split(months[:-1], months[-1])
        train, validation = parts["train"], parts["validation"]
        fitted = fit_encoder(features, train.columns, train.y, SEED)
        held = [fitted.encoder.transform(features, validation.columns, kind) for kind in kinds]
        own = [fitted.matrix(kind) for kind in kinds]
        return own[0].shape[0] + held[0].shape[0]

    return _measured(prepare, months)


def tutorial_way(baseline: str, files: list[str], split: str) -> dict[str, Any]:
    found = importlib.util.spec_from_file_location("tutorial_baseline", baseline)
    tutorial = importlib.util.module_from_spec(found)
    found.loader.exec_module(tutorial)
    return _measured(lambda files: tutorial.prepare(files, split)[0].shape[0], files)


def read_only(files: list[str]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    def read(files: list[str]) -> int:
        tables = [pq.ParquetFile(file).read(columns=list(COLUMNS), use_threads=False) for file in files]
        return sum(table.num_rows for table in tables)

    return _measured(read, files)


def _measured(prepare: Callable[[list[str]], int], things: list[str]) -> dict[str, Any]:
    prepare(things[-2:])
    with timed() as used:
        rows = prepare(things)
    return used | {"rows": rows}
