"""Typed settings, read once from `MLOPS_*` environment variables and an optional `.env` file."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from mlops_assets.database_urls import explicit_driver, in_schema, without_credentials
from mlops_assets.errors import SettingsError

PREFIX = "MLOPS_"
CHECKOUT = Path(__file__).resolve().parents[1]
_DATABASE = re.compile(r"postgres(ql)?(\+\w+)?://|sqlite(\+\w+)?:///.")
_STORE = re.compile(r"(s3|gs)://[^\s@?#/:]+(/[^\s?#]*)?|abfss://[^\s@?#/:]+@[^\s@?#:]+|file:///[^\s?#]+")
_DASK = r"dask:(tcp|tls)://[^\s@]+:\d+"
_ADDRESS = re.compile(r'[^\s@<>()",;:\\]+@[^\s@<>()",;:\\]+')


def project_root() -> Path:
    """The checkout when there is one, else the working directory."""
    return CHECKOUT if (CHECKOUT / "workspace.yaml").is_file() else Path.cwd()


def _split_names(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for number, value in enumerate(values, start=1):
        if not (value.isascii() and value.isprintable() and _ADDRESS.fullmatch(value)):
            raise ValueError(f"entry {number} is not an address such as name@example.com")
    return values


def _check_address(value: str) -> str:
    return _check_addresses((value,))[0]


Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{value}' is not a time zone such as Europe/Berlin") from None
    return value


Addresses = Annotated[Names, AfterValidator(_check_addresses)]
Address = Annotated[str, AfterValidator(_check_address)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split_names)]


class Settings(BaseModel):
    """All settings of the project; each field is the variable `MLOPS_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(
        "nyc_flights", description="Name of a dataset that ships with the project, or path of your own YAML."
    )
    source_uri: SecretStr | None = Field(
        None,
        description="Where the dataset's rows are read instead of the place its YAML names; same layout.",
    )
    home: Path = Field(
        Path("var"), description="Folder for data, models and the default databases; relative to the project."
    )
    storage: str | None = Field(
        None,
        description="URL below which data and models are kept instead of the home folder: s3://, gs://, abfss:// or "
        "file://, with a bucket or container and a prefix.",
    )
    model_types: Names = Field(
        ("LinearRegression", "Ridge", "Lasso", "XGBoost"),
        description="Model types to tune and fit, by name or import path, separated by commas.",
        min_length=1,
    )
    search_spaces: Path | None = Field(
        None, description="YAML of search spaces that add to, or replace, those of the registry."
    )
    max_trials: int = Field(10, ge=1, le=100_000, description="Trials a model type, at most.")
    tuning_seconds: float = Field(600, gt=0, description="Seconds after which a search starts no further trial.")
    tuning_rows: int = Field(
        100_000, ge=100, description="Training rows a trial sees, at most, spread evenly over the window."
    )
    memory_rows: int = Field(
        2_000_000,
        ge=100,
        description="Rows of a window that are in memory at once, at most. Of a larger one, encoders learn from so "
        "many of its rows, spread evenly. XGBoost, Ridge and LinearRegression read all from disk, other types so many.",
    )
    patience: int = Field(15, ge=1, description="Trials without a better loss after which a search stops.")
    trials: str = Field(
        "local",
        pattern=rf"^(local(:[1-9]\d*)?|{_DASK})$",
        description="Where trials run: `local`, `local:N` processes, or `dask:tcp://host:8786`, a Dask cluster.",
    )
    trial_width: int = Field(
        0, ge=0, description="Trials in flight, part of what fixes a search; 0 takes one a process, four on a cluster."
    )
    final_fit: str = Field(
        "local",
        pattern=rf"^(local|{_DASK})$",
        description="Where XGBoost's final fit runs: `local`, or `dask:tcp://host:8786`, its rows divided over the "
        "workers of a Dask cluster.",
    )
    threads: int = Field(
        0, ge=0, description="Threads a fit uses; 0 takes all cores, and one for a trial on a cluster."
    )
    seed: int = Field(7, ge=0, lt=2**31, description="Seed of every random choice.")
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the intervals that the gate and leaderboard use."
    )
    minimum_gain: float = Field(
        0.002, ge=0, lt=1, description="Share of the champion's RMSE that a challenger must gain."
    )
    coverage: float = Field(
        0.9, ge=0.5, le=0.99, description="Share of true values that prediction intervals are made to hold."
    )
    performance_margin: float = Field(
        0.1, ge=0, description="Share of the promised RMSE by which the realised one may be above it."
    )
    tracking_uri: SecretStr | None = Field(
        None,
        description="MLflow tracking URI; without it MLOPS_DATABASE_URL where that is PostgreSQL, else a SQLite file "
        "in the home folder.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="URL of a PostgreSQL database for everything: Dagster's records, MLflow and the project's own "
        "tables; without it SQLite files in the home folder. A sqlite:/// URL holds the own tables only.",
    )
    mlflow_url: str = Field("http://127.0.0.1:5001", description="Address of the MLflow UI, for links.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="Address of the Dagster UI, for links.")
    dashboards: Path | None = Field(
        None, description="Folder of your own dashboards: YAML files, and Python files that register plots."
    )
    dagster_api_url: str | None = Field(
        None, description="Address at which programs reach Dagster, where it is not that of the links."
    )
    log_format: Literal["text", "json"] = Field("text", description="How runs and the server write their log.")
    http_timeout: float = Field(30, gt=0, description="Seconds to wait for a server that sends rows.")
    http_retries: int = Field(3, ge=0, le=10, description="Tries after the first that fails to reach a source.")

    smtp_host: str | None = Field(None, description="Mail server; without it no mail is sent.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["plain", "starttls", "ssl"] = Field("starttls", description="How mail is encrypted.")
    smtp_user: str | None = Field(None, description="User at the mail server, where it asks for one.")
    smtp_password: SecretStr | None = Field(None, description="Password of that user.")
    smtp_timeout: float = Field(15, gt=0, le=60, description="Seconds to wait for the mail server.")
    mail_sender: Address = Field("mlops-assets@localhost", description="Sender of all mail.")
    mail_to: Addresses = Field((), description="Recipients of all kinds of mail that have none of their own.")
    mail_to_failure: Addresses = Field((), description="Recipients of failures and failed checks.")
    mail_to_champion: Addresses = Field((), description="Recipients of promotions and refusals.")
    mail_to_drift: Addresses = Field((), description="Recipients of drift, and of errors beyond the promise.")
    mail_to_freshness: Addresses = Field((), description="Recipients of freshness warnings and failures.")
    mail_to_success: Addresses = Field((), description="Recipients of successes; without any, none are sent.")
    mail_max_age_hours: float = Field(24, gt=0, description="No mail for what happened longer ago.")
    mail_digest_from: int = Field(5, ge=2, description="So many mails due at once become one digest.")
    schedule: str = Field(
        "off", description="Cron of the scheduled retraining, or `hourly`, `daily`, `weekly`, `monthly`, `off`."
    )
    scoring_schedule: str = Field("off", description="Cron, or one of these words, of scoring the newest month.")
    timezone: Annotated[str, AfterValidator(_check_zone)] = Field("UTC", description="Time zone of the schedules.")
    run_at_start: bool = Field(False, description="Retrain once when the daemon first sees the project.")
    watch_source: bool = Field(True, description="Retrain when the source has a new or changed month.")
    watch_seconds: int = Field(300, ge=5, description="Seconds between looks at the source.")
    fresh_days: float = Field(35, ge=0.001, description="Days after which a champion is stale and retraining starts.")
    warn_days: float | None = Field(
        None,
        ge=0.0007,
        description="Days after which people are warned that it will be; by default nine tenths.",
    )

    @field_validator("warn_days")
    @classmethod
    def _warn_first(cls, days: float | None, info: ValidationInfo) -> float | None:
        if days is not None and days >= info.data.get("fresh_days", days + 1):
            raise ValueError("it must be less than MLOPS_FRESH_DAYS")
        return days

    @property
    def warn_after_days(self) -> float:
        return self.warn_days or 0.9 * self.fresh_days

    serve_host: str = Field("127.0.0.1", description="Address that predictions are served on.")
    serve_port: int = Field(
        8000, ge=0, le=65535, description="Port that predictions are served on; 0 takes a free one."
    )
    serve_url: str | None = Field(
        None, description="Address of form and dashboards, for links; without it MLOPS_SERVE_HOST and MLOPS_SERVE_PORT."
    )
    serve_api_url: str | None = Field(
        None, description="Address at which programs ask for predictions, where it is not that of the links."
    )
    api_keys: Secrets = Field(
        (),
        description="Keys that callers need, separated by commas, each plain or as `sha256:` and its hash; "
        "without any, predictions are served to this machine only.",
    )
    api_key_file: Path | None = Field(None, description="File of further keys, one a line; # starts a comment.")
    webhook_secret: SecretStr | None = Field(None, description="Secret that MLflow signs its webhooks with.")
    serve_rate: float = Field(
        0,
        ge=0,
        description="Requests a second, on average, of each key, or of each client without one; 0 sets no limit.",
    )
    serve_body_mb: float = Field(64, gt=0, description="Megabytes that a request may hold.")
    serve_list_rows: int = Field(10_000, ge=1, description="Rows that `POST /predict` takes at once.")
    serve_batch_rows: int = Field(1_000_000, ge=1, description="Rows that `POST /predict/batch` takes at once.")
    serve_timeout: float = Field(
        30, gt=0, description="Seconds for a request to arrive, for its answer to begin, and for it to be taken."
    )
    model_poll_seconds: float = Field(15, gt=0, description="Seconds between looks at who is champion.")
    log_days: float = Field(
        90, ge=0, description="Days for which answers stay in the prediction log; 0 keeps them for ever."
    )
    keep_runs_days: float = Field(
        180,
        ge=0,
        description="Days for which `clean` keeps Dagster's runs with what they printed; 0 keeps them for ever.",
    )
    keep_trials_days: float = Field(180, ge=0, description="The same for trials and other runs in MLflow.")
    keep_models_days: float = Field(
        365, ge=0, description="The same for registered versions that were never champion, with their artefacts."
    )
    keep_answers_days: float = Field(90, ge=0, description="The same for files of answers to launched requests.")
    clean_schedule: str = Field("off", description="Cron, or one of these words, of `clean`.")

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
    def pages_url(self) -> str:
        """Where people find form and dashboards."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.serve_host, self.serve_host)
        return (self.serve_url or f"http://{host}:{self.serve_port}").rstrip("/")

    @property
    def predictions_url(self) -> str:
        """Where programs ask for predictions."""
        return (self.serve_api_url or self.pages_url).rstrip("/")

    @property
    def launch_url(self) -> str:
        """Where runs are launched and looked up."""
        return self.dagster_api_url or self.dagster_url

    @property
    def thread_count(self) -> int:
        return self.threads or os.cpu_count() or 1

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
        """Which MLflow that is: the same after a password was changed."""
        return without_credentials(self.tracking)

    @property
    def postgres(self) -> str | None:
        """URL of the PostgreSQL database that holds everything, where there is one. Never log it."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        return url if url.startswith("postgresql") else None


def environment() -> dict[str, str]:
    """The process environment over the values of the project's `.env` file, where there is one."""
    from_file = {k: v for k, v in dotenv_values(project_root() / ".env").items() if v is not None}
    return from_file | dict(os.environ)


def read_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings.

    Raises SettingsError naming each variable that is unknown or wrong. An empty variable counts as not set.
    """
    env = environment() if env is None else env
    values = {name.removeprefix(PREFIX).lower(): value for name, value in env.items() if name.startswith(PREFIX)}
    values = {name: value for name, value in values.items() if value.strip()}
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = "; ".join(_explain(item) for item in error.errors(include_url=False, include_input=False))
        raise SettingsError(problems) from None


def _explain(problem) -> str:
    field = str(problem["loc"][0])
    name = PREFIX + field.upper()
    if problem["type"] == "extra_forbidden":
        close = get_close_matches(field, Settings.model_fields, n=1)
        hint = f"did you mean {PREFIX}{close[0].upper()}?" if close else "see docs/settings.md for the names"
        return f"{name} is not a setting: {hint}"
    return f"{name}: {problem['msg'].removeprefix('Value error, ')} ({Settings.model_fields[field].description})"
