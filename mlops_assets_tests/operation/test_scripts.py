"""scripts/backup.sh and scripts/restore.sh: what they ask of Compose, answered by programs of this machine."""

import os
import shutil
import subprocess
import sys

import pytest
import sqlalchemy as sa

from mlops_assets_tests.homes import MAIN, ROOT
from mlops_assets_tests.operation.test_backup import ROWS, answers, postgres_tools  # noqa: F401  (a fixture)

# Stands for `docker compose`: the services' commands run here, PostgreSQL's against a database of the test's own.
COMPOSE = f"""
import os, sys
words, url = sys.argv[1:], os.environ["TEST_DATABASE"]
if "ps" in words:
    print("0123")
elif "pg_dump" in words:  # --username mlops ... mlops
    os.execvp("pg_dump", ["pg_dump", f"--dbname={{url}}", *words[words.index("pg_dump") + 3 : -1]])
elif "pg_restore" in words:  # --username mlops --dbname mlops ...
    os.execvp("pg_restore", ["pg_restore", f"--dbname={{url}}", *words[words.index("pg_restore") + 5 :]])
elif "keeper" in words and "run" in words:
    os.execv(sys.executable, [sys.executable, "-c", {MAIN!r}, *words[words.index("mlops-assets") + 1 :]])
"""


@pytest.fixture
def stack(new_shop, make_postgres, postgres_tools, tmp_path):  # noqa: F811
    """A shop after a run, and a function that calls a script on it."""
    url = make_postgres()
    shop = new_shop(MLOPS_DATABASE_URL=url)
    shop.env["MLOPS_HOME"] = str(shop.folder / "var")
    (shop.folder / "rows.json").write_text(ROWS)
    assert shop.command("run").code == 0
    (tmp_path / "compose.py").write_text(COMPOSE)
    asked = {"COMPOSE": f"{sys.executable} {tmp_path / 'compose.py'}", "TEST_DATABASE": url, "PYTHONPATH": str(ROOT)}

    def call(script, *words):
        command = ["sh", str(ROOT / "scripts" / script), *words]
        return subprocess.run(command, cwd=tmp_path, env=os.environ | shop.env | asked, capture_output=True, text=True)

    return shop, call


@pytest.mark.slow
def test_what_the_stack_has_made_is_written_into_one_file_and_comes_back(stack, tmp_path):
    shop, call = stack
    before = answers(shop)
    done = call("backup.sh", "backup.tar")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("backup.*")] == ["backup.tar"]
    refused = call("restore.sh", "backup.tar")
    assert refused.returncode and "there is something already" in refused.stderr
    shutil.rmtree(shop.env["MLOPS_HOME"])
    with sa.create_engine(shop.env["MLOPS_DATABASE_URL"]).begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA mlflow, dagster_shop, public CASCADE; CREATE SCHEMA public")
    done = call("restore.sh", "backup.tar")
    assert done.returncode == 0, done.stderr
    assert answers(shop) == before
    done = call("restore.sh", "backup.tar", "--replace")
    assert done.returncode == 0, done.stderr
    assert answers(shop) == before


@pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
def test_a_script_without_a_file_says_what_is_missing(script):
    done = subprocess.run(["sh", str(ROOT / "scripts" / script)], capture_output=True, text=True)
    assert done.returncode and "file" in done.stderr and script in done.stderr
