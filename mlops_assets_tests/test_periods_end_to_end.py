"""The pipeline on days and on weeks, with a gap, and with customers that stay on one side of the split."""

import numpy as np
import pytest

from mlops_assets.dataset.periods import Cadence
from mlops_assets.run_tags import TASK
from mlops_assets_tests.homes import SHOP, write_yaml

# The first and the last period, the name of a file, and how many periods the gate judges by.
CASES = {
    "day": ("2024-02-26", "2024-03-11", "{yyyy}/{mm}/{dd}.csv", 8),
    "week": ("2024-12-09", "2025-02-03", "{iso_yyyy}-W{ww}.csv", 2),
}


@pytest.fixture(params=CASES)
def made(request, new_home):
    """The periods that are there, the one that is not, how many are judged, and a home after a run."""
    first, last, name, judged = CASES[request.param]
    cadence, home = Cadence(request.param), new_home(MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="1")
    periods = cadence.between(first, last)
    gap, rng = periods.pop(3), np.random.default_rng(5)
    for period in periods:
        start = np.datetime64(cadence.start(period), "s")
        seconds = int((cadence.end(period) - cadence.start(period)).total_seconds())
        at, size = start + rng.integers(0, seconds, 150).astype("timedelta64[s]"), rng.gamma(2, 15, 150).round(3)
        price = 5 + size * rng.lognormal(1, 0.1, 150).round(3)
        rows = zip(at, rng.integers(1, 6, 150), rng.integers(0, 90, 150), size, price, strict=True)
        path = home.folder / cadence.filled(name, period)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["at,zone,customer,size,price", *(",".join(map(str, row)) for row in rows), ""]))
    document = SHOP | {
        "columns": SHOP["columns"] | {"customer": {"type": "integer"}},
        "source": {"kind": "files", "uri": f"{home.folder}/{name}"},
        "time": {"column": "at", "every": request.param, "first": first, "last": last},
        "window": {"train_periods": 20, "validation_periods": 2, "test_periods": judged, "test_share": 0.3},
        "split": {"groups": ["customer"]},
    }
    home.env["MLOPS_DATASET"] = write_yaml(home.folder / "shop.yaml", document)
    answer = home.command("run")
    assert answer.code == 0, answer
    return periods, gap, judged, home


def test_periods_go_through_the_pipeline_and_a_gap_is_said(made):
    periods, gap, judged, home = made
    for asset in ("raw_data", "clean_data", "predictions", "model_performance", "drift_report"):
        assert list(home.records(asset)) == periods
    with home.instance() as instance:  # the gap divides no run
        runs = [run.tags[TASK] for run in instance.get_runs()]
    assert f"raw_data[{periods[0]}...{periods[-1]}]" in runs and len(runs) == len(
        {run.partition("[")[0] for run in runs}
    )
    built, champion = home.record("training_set"), home.record("champion_model")
    assert (built.value("gaps"), built.value("test_periods")) == (gap, ", ".join(periods[-judged:]))
    assert champion.value("decision") == "promoted"
    assert f"the window has a gap: {gap}." in champion.value("verdict")
    assert 0 < built.value("test_rows") < 0.5 * judged * 150  # of some customers alone
