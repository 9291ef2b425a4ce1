"""Retention: what is old and needed by nothing goes; everything else works as before."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.operation.retention import expired, remove
from mlops_assets.resources.databases.prediction_log import LoggedRow

pytestmark = pytest.mark.slow

ROWS = '[{"zone": 3, "size": 20.5}, {"zone": 1, "size": 7}]'
LATER = datetime.now(UTC) + timedelta(days=1000)
NEVER = {f"MLOPS_{name}_DAYS": "0" for name in ("KEEP_RUNS", "KEEP_TRIALS", "KEEP_MODELS", "KEEP_ANSWERS", "LOG")}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request, new_shop, make_postgres):
    """Three trainings; champions of the first, and of the second by hand; answers in the log."""
    settings = {} if request.param == "sqlite" else {"MLOPS_DATABASE_URL": make_postgres()}
    shop = new_shop(**settings)
    for seed in "789":
        assert shop.command("run", MLOPS_SEED=seed).code == 0
    shop.env["MLOPS_SEED"] = "9"
    (shop.folder / "rows.json").write_text(ROWS)
    project, at = shop.project(), datetime.now(UTC)
    project.registry.promote(min(project.registry.versions()), reason="By hand.", at=at)
    shop.command("rollback")
    project.prediction_log.add([LoggedRow("r", 0, at, 1, {"zone": 1}, 1.0, 0.5, 1.5)])
    answers = project.home / "requested_predictions"
    answers.mkdir()
    (answers / "0f8fad5b-d9cb-469f-a165-70867728950e.parquet").write_bytes(b"x" * 1000)
    return shop


def found(shop, now=LATER, **settings):
    with shop.instance() as instance:
        return {kind.kind: kind for kind in expired(instance, shop.project(**settings), now)}


def state(shop):
    answer = shop.command("predict", str(shop.folder / "rows.json"))
    assert answer.code == 0, answer
    return answer.out, shop.command("history").out


def test_nothing_young_goes(shop):
    assert {kind.count for kind in found(shop, datetime.now(UTC)).values()} == {0}


def test_what_is_kept_for_ever_never_goes(shop):
    assert {kind.count for kind in found(shop, **NEVER).values()} == {0}


def test_a_dry_run_says_what_would_go_and_removes_nothing(shop):
    old = {f"MLOPS_KEEP_{name}_DAYS": "0.00000001" for name in ("RUNS", "TRIALS", "MODELS")}
    before = shop.run_ids()
    answer = shop.command("clean", "--dry-run", **old)
    assert answer.code == 0 and "Would be removed" in answer.out
    lines = [line for line in answer.out.splitlines() if "runs in" in line or "versions" in line]
    assert len(lines) == 3 and not [line for line in lines if " 0 " in line]
    assert shop.run_ids() == before


def test_what_is_old_goes_and_everything_works_as_before(shop):
    project, before = shop.project(), state(shop)
    champion, others = project.registry.champion(), project.registry.versions()
    going = found(shop)
    assert all(kind.count for kind in going.values()), going
    assert going["versions of the model"].size > 1000
    with shop.instance() as instance:
        remove(project, tuple(going.values()), LATER)
        assert instance.get_runs_count() > 0
    assert state(shop) == before
    kept = project.registry.versions()
    assert champion.number in kept and set(kept) < set(others)
    assert project.prediction_log.count() == 0
    answer = shop.command("run")
    assert answer.code == 0 and "Nothing to do: every asset is up to date." in answer.out
    assert {kind.count for kind in found(shop).values() if kind.kind != "runs in MLflow"} == {0}


def test_files_of_what_went_are_gone_and_files_of_what_stayed_are_there(shop):
    project = shop.project()
    for number in project.registry.versions():
        assert os.listdir(project.registry.folder(number))
    models = project.settings.home_path / "mlartifacts" / "models"
    with_files = {path.relative_to(models).parts[0] for path in models.rglob("*") if path.is_file()}
    folders = [project.registry.folder(number) for number in project.registry.versions()]
    assert {folder.relative_to(models).parts[0] for folder in folders} <= with_files
    records = project.home / "dagster"
    printed = {path.name for path in (records / "storage").iterdir()}
    assert printed | {path.stem for path in records.glob("history/runs/*-*.db")} <= shop.run_ids()


def test_cleaning_again_removes_nothing_more(shop):
    shop.command("clean")
    going = found(shop)
    with shop.instance():
        remove(shop.project(), tuple(going.values()), LATER)
    assert {kind.count for kind in found(shop).values()} == {0}
