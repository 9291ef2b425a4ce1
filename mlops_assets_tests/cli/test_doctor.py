"""What `doctor` says of the project's own tables."""

from mlops_assets_tests.homes import Home
from mlops_assets_tests.servers import free_port


def told(home, **settings):
    (line,) = [line for line in home.command("doctor", **settings).out.splitlines() if "own tables: " in line]
    return line


def test_the_own_tables_are_asked(tmp_path, database_url):
    assert told(Home(tmp_path), MLOPS_DATABASE_URL=database_url) == "✓ own tables: 0 rows in the prediction log"


def test_a_database_that_does_not_answer_is_a_fault_that_shows_no_password(tmp_path):
    url = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/mlops"
    line = told(Home(tmp_path), MLOPS_DATABASE_URL=url)
    assert line.startswith("✗ own tables: the database of MLOPS_DATABASE_URL cannot be used")
    assert "hunter2" not in line
