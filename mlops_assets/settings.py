"""Typed settings, read once from `MLOPS_*` environment variables and an optional `.env` file."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from mlops_assets.errors import SettingsError

PREFIX = "MLOPS_"
CHECKOUT = Path(__file__).resolve().parents[1]


def project_root() -> Path:
    """The checkout when there is one, else the working directory."""
    return CHECKOUT if (CHECKOUT / "workspace.yaml").is_file() else Path.cwd()


def _split_names(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]


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
    patience: int = Field(15, ge=1, description="Trials without a better loss after which a search stops.")
    trials: str = Field(
        "local",
        pattern=r"^local(:[1-9]\d*)?$",
        description="Where trials run: `local` or `local:N` processes.",
    )
    trial_width: int = Field(
        0, ge=0, description="Trials in flight, part of what fixes a search; 0 takes one a process."
    )
    threads: int = Field(0, ge=0, description="Threads a fit uses; 0 takes all cores.")
    seed: int = Field(7, ge=0, lt=2**31, description="Seed of every random choice.")
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the intervals that the gate and leaderboard use."
    )
    minimum_gain: float = Field(
        0.002, ge=0, lt=1, description="Share of the champion's RMSE that a challenger must gain."
    )
    tracking_uri: SecretStr | None = Field(
        None, description="MLflow tracking URI; without it a SQLite file in the home folder."
    )
    mlflow_url: str = Field("http://127.0.0.1:5001", description="Address of the MLflow UI, for links.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="Address of the Dagster UI, for links.")
    http_timeout: float = Field(30, gt=0, description="Seconds to wait for a server that sends rows.")
    http_retries: int = Field(3, ge=0, le=10, description="Tries after the first that fails to reach a source.")

    @property
    def home_path(self) -> Path:
        """Absolute path of the home folder."""
        return project_root() / self.home.expanduser()

    @property
    def thread_count(self) -> int:
        return self.threads or os.cpu_count() or 1

    @property
    def tracking(self) -> str:
        """The MLflow tracking URI in force. Holds a password where the user's URI does: never log it."""
        if self.tracking_uri:
            return self.tracking_uri.get_secret_value()
        return f"sqlite:///{self.home_path / 'mlflow.db'}"


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
    return f"{name}: {problem['msg']} ({Settings.model_fields[field].description})"
