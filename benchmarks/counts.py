"""The tutorial's published counts, with its settings, through the project's own code."""

from __future__ import annotations

from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report
from benchmarks.taxi import TUTORIAL, Taxi

TRAIN, VALIDATION = "2024-01", "2024-02"
EXPECTED = {
    "raw": 110_128,
    "kept": 105_870,
    "train": [54_378, 5_094],
    "validation": [51_492, 5_094],
    "columns fitted on all": 7_027,
}
COUNTS = Figure(
    "counts with the tutorial's settings, 2024-01 and 2024-02",
    "exactly 110,128 raw; 105,870 kept; train 54,378 x 5,094; validation 51,492 x 5,094; 7,027 columns fitted on all",
    "read, clean, split at 2024-02-01, one-hot pairs and the distance: `benchmarks/specs/tutorial.yaml`",
)


def measure(places: Places) -> Report:
    if not places.has(TRAIN, VALIDATION):
        return Report([COUNTS.absent()])
    found = call(count, source_uri=places.source_uri).value
    matrices = {name: " x ".join(f"{n:,}" for n in found[name]) for name in ("train", "validation")}
    text = f"{found['raw']:,} raw; {found['kept']:,} kept; train {matrices['train']}; "
    text += f"validation {matrices['validation']}; {found['columns fitted on all']:,} columns fitted on all"
    return Report([COUNTS.measured(text, found == EXPECTED)])


def count(source_uri: str) -> dict:
    from mlops_assets.core.features.encoder import fit_encoder
    from mlops_assets.core.training_set import join

    taxi = Taxi(TUTORIAL, source_uri)
    features = taxi.spec.features
    parts = taxi.split([TRAIN], VALIDATION)
    train, validation = parts["train"], parts["validation"]
    fitted = fit_encoder(features, train.columns, train.y, seed=7)
    both = join([train, validation])
    return {
        "raw": sum(taxi.source.read(month).num_rows for month in (TRAIN, VALIDATION)),
        "kept": len(both),
        "train": fitted.one_hot.shape,
        "validation": fitted.encoder.transform(features, validation.columns, "one_hot").shape,
        "columns fitted on all": fit_encoder(features, both.columns, both.y, seed=7).one_hot.shape[1],
    }
