"""Nothing is left stale by a change of code: what an asset is computed by is on record, beside its code version."""

import json
import os
from pathlib import Path

import pytest

from mlops_assets.assets.registry import ENTRIES
from mlops_assets_tests.assets.code_digests import code_of, digest_of

RECORD = Path(__file__).with_name("code_digests.json")
AGAIN = "WRITE_SNAPSHOT=1 .venv/bin/python -m pytest mlops_assets_tests/assets/test_code_digests.py -n 0"


@pytest.fixture(scope="module")
def recorded():
    """What was on record; WRITE_SNAPSHOT=1 writes it anew."""
    if "WRITE_SNAPSHOT" in os.environ:
        record = {entry.name: {"code_version": entry.code_version, "modules": code_of(entry)} for entry in ENTRIES}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_change_of_the_code_behind_an_asset_is_noticed(entry, recorded):
    """Where this fails, either results change, and the code version has to be raised, or they do not."""
    before, now = recorded[entry.name], code_of(entry)
    changed = sorted(name for name in {*before["modules"], *now} if before["modules"].get(name) != now.get(name))
    place = f"{entry.build.__module__.replace('.', '/')}.py"
    assert not changed or before["code_version"] != entry.code_version, (
        f"{entry.name} is computed by {', '.join(changed)}, which changed: where its results do, raise CODE_VERSION "
        f"in {place} from {entry.code_version}; then write the record anew: {AGAIN}"
    )
    assert not changed and before["code_version"] == entry.code_version, f"write the record anew: {AGAIN}"


def test_an_asset_is_computed_by_what_it_imports_wherever_it_does_so():
    code = {entry.name: set(code_of(entry)) for entry in ENTRIES}
    assert {"core.prepare.row_statistics", "sources.normalise", "sources.sql"} <= code["raw_data"]
    assert "core.prepare.cleaning" in code["clean_data"]
    assert {"core.features.target_encoding", "core.training_set"} <= code["training_set"]
    assert {"core.search.tuning", "core.learners.estimators"} <= code["hyperparameters"]
    assert {"assets.final_fit", "core.targets.intervals"} <= code["sklearn_model"]
    assert {"assets.leaderboard", "core.judge.promotion"} <= code["champion_model"]
    assert {"core.monitor.effect_sizes", "core.model.model"} <= code["drift_report"]
    assert "core.targets.intervals" in code["predictions"] & code["model_performance"]
    assert "core.features.target_encoding" not in code["raw_data"] | code["clean_data"]
    assert not any("report" in name for names in code.values() for name in names - {"assets.drift_report"})


CODE = '"""About."""\nSHRINKAGE = 30\n\n\ndef mean(x):\n    """Mean."""\n    return x / SHRINKAGE  # why\n'


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("30", "500", False),
        ("x / S", "x * S", False),
        ("About", "Of", True),
        ("# why", "", True),
        ("\n\n\n", "\n", True),
    ],
)
def test_a_digest_sees_constants_and_operators_and_no_comments(before, after, same):
    assert (digest_of(CODE) == digest_of(CODE.replace(before, after))) is same
