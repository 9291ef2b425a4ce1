"""URLs of databases: the driver is named, schemas are added and found again, nothing else changes."""

import pytest
import sqlalchemy as sa

from mlops_assets.database_urls import explicit_driver, in_schema, schema_of, without_credentials


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_whoever_says_postgresql_gets_the_driver_that_dagster_needs(scheme):
    assert sa.make_url(explicit_driver(f"{scheme}://me:pw@host/db")).drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://host/db", "sqlite:///postgres://", "mysql://host/db", "http://x"]
)
def test_another_url_stays_as_it_is(url):
    assert explicit_driver(url) == url


@pytest.mark.parametrize("url", ["postgresql://me:p%40w@host/db", "postgresql:///db?host=/run", "postgresql://@/db"])
def test_a_schema_is_added_to_what_the_url_says_and_found_again(url):
    before, after = sa.make_url(url), sa.make_url(in_schema(url, "mlflow"))
    assert after.query["options"] == "-csearch_path=mlflow"
    assert after.set(query={**before.query}) == before
    assert (schema_of(in_schema(url, "mlflow")), schema_of(url)) == ("mlflow", None)


def test_options_of_the_url_are_kept():
    url = in_schema("postgresql://host/db?sslmode=require&options=-cstatement_timeout%3D5", "mlflow")
    assert sa.make_url(url).query == {"sslmode": "require", "options": "-cstatement_timeout=5 -csearch_path=mlflow"}


def test_tables_are_made_in_the_schema(new_postgres):
    url = in_schema(explicit_driver(new_postgres), "apart")
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA apart")
        connection.exec_driver_sql("CREATE TABLE here (x int)")
        assert sa.inspect(connection).get_table_names("apart") == ["here"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:hunter2@host:1/db?a=b", "postgresql://host:1/db?a=b"),
        ("http://me@host/x@y", "http://host/x@y"),
        ("sqlite:////home/me@work/x.db", "sqlite:////home/me@work/x.db"),
        ("http://host/", "http://host/"),
    ],
)
def test_a_place_says_nothing_of_who_asks_there(url, place):
    assert without_credentials(url) == place
