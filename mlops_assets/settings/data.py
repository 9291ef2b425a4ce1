"""Where rows come from, and where data, models and records are kept."""

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from mlops_assets.database_urls import explicit_driver, in_schema, without_credentials
from mlops_assets.settings.fields import Group
from mlops_assets.settings.root import project_root

_DATABASE = re.compile(r"postgres(ql)?(\+\w+)?://|sqlite(\+\w+)?:///.")
_STORE = re.compile(r"(s3|gs)://[^\s@?#/:]+(/[^\s?#]*)?|abfss://[^\s@?#/:]+@[^\s@?#:]+|file:///[^\s?#]+")


class DataSettings(Group):
    """The dataset, how its source is asked, and the places of everything that is kept."""

    title = "Data and its places"

    dataset: str = Field(
        "nyc_flights", description="Name of a dataset that ships with the project, or path of your own YAML."
    )
    source_uri: SecretStr | None = Field(
        None,
        description="Where the dataset's rows are read instead of the place its YAML names; same layout.",
    )
    http_timeout: float = Field(30, gt=0, description="Seconds to wait for a server that sends rows.")
    http_retries: int = Field(3, ge=0, le=10, description="Tries after the first that fails to reach a source.")
    home: Path = Field(
        Path("var"), description="Folder for data, models and the default databases; relative to the project."
    )
    storage: str | None = Field(
        None,
        description="URL below which data and models are kept instead of the home folder: s3://, gs://, abfss:// or "
        "file://, with a bucket or container and a prefix.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="URL of a PostgreSQL database for everything: Dagster's records, MLflow and the project's own "
        "tables; without it SQLite files in the home folder. A sqlite:/// URL holds the own tables only.",
    )
    tracking_uri: SecretStr | None = Field(
        None,
        description="MLflow tracking URI; without it MLOPS_DATABASE_URL where that is PostgreSQL, else a SQLite file "
        "in the home folder.",
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not _DATABASE.match(url.get_secret_value()):
            raise ValueError("it must begin with postgresql:// or sqlite:///")
        return url

    @field_validator("storage")
    @classmethod
    def _known_store(cls, url: str | None) -> str | None:
        if url and not _STORE.fullmatch(url):
            raise ValueError("it must be s3://, gs://, abfss:// or file:// and a place, without credentials or query")
        return url and url.rstrip("/")

    @field_validator("database_url", "tracking_uri")
    @classmethod
    def _name_the_driver(cls, url: SecretStr | None) -> SecretStr | None:
        return url and SecretStr(explicit_driver(url.get_secret_value()))

    @property
    def home_path(self) -> Path:
        """Absolute path of the home folder."""
        return project_root() / self.home.expanduser()

    @property
    def artefacts_url(self) -> str:
        """URL below which MLflow's artefacts are kept where a database, not a server, is its tracking URI."""
        return f"{self.storage or self.home_path.absolute().as_uri()}/mlartifacts"

    @property
    def tracking(self) -> str:
        """The MLflow tracking URI in force. Holds a password where the user's URI does: never log it."""
        if self.tracking_uri:
            return self.tracking_uri.get_secret_value()
        if self.postgres:
            return in_schema(self.postgres, "mlflow")
        return f"sqlite:///{self.home_path / 'mlflow.db'}"

    @property
    def tracking_place(self) -> str:
        """Which MLflow that is: the same after a password was changed, or the home folder was moved."""
        if not self.tracking_uri and not self.postgres:
            return "mlflow.db in the home folder"
        return without_credentials(self.tracking)

    @property
    def postgres(self) -> str | None:
        """URL of the PostgreSQL database that holds everything, where there is one. Never log it."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        return url if url.startswith("postgresql") else None
