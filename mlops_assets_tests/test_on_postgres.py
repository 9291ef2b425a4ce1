"""The whole pipeline with everything in one PostgreSQL database."""

import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from mlops_assets.resources.databases.schema import METADATA, VERSION_TABLE
from mlops_assets_tests.homes import ROOT, Home

pytestmark = pytest.mark.slow

OPEN_ALL = """
from mlops_assets.instance import open_instance
from mlops_assets.project import open_project
project = open_project()
with open_instance(project) as instance:
    print(instance.get_runs_count(), project.prediction_log.count(), project.registry.champion())
"""


@pytest.fixture(scope="module")
def on_postgres(new_shop, make_postgres) -> Home:
    """The shop after a run, its home folder without any database."""
    shop = new_shop(MLOPS_DATABASE_URL=make_postgres())
    (shop.folder / "mlflow.db").unlink()
    answer = shop.command("run")
    assert answer.code == 0, answer
    return shop


def test_everything_lies_in_the_database_and_nothing_beside_it(on_postgres):
    with sa.create_engine(on_postgres.env["MLOPS_DATABASE_URL"]).connect() as connection:
        inspector = sa.inspect(connection)
        tables = {schema: set(inspector.get_table_names(schema)) for schema in ("public", "mlflow", "dagster_shop")}
    assert tables["public"] == {*METADATA.tables, VERSION_TABLE}
    assert {"runs", "event_logs", "jobs"} <= tables["dagster_shop"]
    assert {"runs", "model_versions"} <= tables["mlflow"]
    assert list(on_postgres.folder.rglob("*.db")) == []


def test_a_second_run_computes_nothing(on_postgres):
    before = on_postgres.run_ids()
    answer = on_postgres.command("run")
    assert answer.code == 0 and "Nothing to do: every asset is up to date." in answer.out
    assert on_postgres.run_ids() == before != set()


def test_the_champion_answers_and_every_period_is_scored(on_postgres, tmp_path):
    (tmp_path / "rows.json").write_text('[{"zone": 3, "size": 20}]')
    answer = on_postgres.command("predict", str(tmp_path / "rows.json"))
    assert answer.code == 0, answer
    champion = on_postgres.project().registry.champion()
    scored = on_postgres.records("predictions")
    assert {record.value("model_version") for record in scored.values()} == {champion.number}
    assert len(scored) == 3


def test_processes_that_start_together_on_an_empty_database_all_find_their_tables(new_shop, new_postgres):
    shop = new_shop(MLOPS_DATABASE_URL=new_postgres)
    command, env = [sys.executable, "-c", OPEN_ALL], os.environ | shop.env
    workers = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=-1, stderr=-1, text=True) for _ in range(3)]
    for worker in workers:
        out, err = worker.communicate()
        assert (worker.returncode, out) == (0, "0 0 None\n"), err
