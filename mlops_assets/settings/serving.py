"""How predictions are served, and where people and programs find the rest."""

import base64
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from mlops_assets.settings.fields import Group, Keys, Names, SecretKey, Secrets


class ServingSettings(Group):
    """The server of predictions, form and dashboards: where it listens, who may ask, and how much."""

    title = "Serving"

    serve_host: str = Field("127.0.0.1", description="Address that predictions are served on.")
    serve_port: int = Field(
        8000, ge=0, le=65535, description="Port that predictions are served on; 0 takes a free one."
    )
    serve_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that answer on that port: one a core, where one core is not enough. Rates and "
        "connections are counted by each for itself.",
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
    serve_hosts: Names = Field(
        (),
        description="Further names that browsers may call a server without an API key by, separated by commas; its own "
        "are those of this machine and of MLOPS_SERVE_URL.",
    )
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
    serve_connections: int = Field(
        800, ge=10, description="Connections at once; beyond, the one that has been idle longest is closed."
    )
    verify_key: Keys = Field(
        (),
        description="Public keys, separated by commas: no model is loaded that none of them has signed.",
    )
    signing_key: SecretKey | None = Field(
        None,
        description="Private key that models are signed with when they are logged (`mlops-assets new-signing-key`).",
    )
    model_poll_seconds: float = Field(15, gt=0, description="Seconds between looks at who is champion.")
    dashboards: Path | None = Field(
        None, description="Folder of your own dashboards: YAML files, and Python files that register plots."
    )

    @field_validator("signing_key")
    @classmethod
    def _sign_what_is_loaded(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if key and (known := info.data.get("verify_key")):
            private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.get_secret_value()))
            if base64.b64encode(private.public_key().public_bytes_raw()).decode() not in known:
                raise ValueError("MLOPS_VERIFY_KEY does not have the key beside it: what is signed is refused")
        return key

    @property
    def pages_url(self) -> str:
        """Where people find form and dashboards."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.serve_host, self.serve_host)
        return (self.serve_url or f"http://{host}:{self.serve_port}").rstrip("/")

    @property
    def predictions_url(self) -> str:
        """Where programs ask for predictions."""
        return (self.serve_api_url or self.pages_url).rstrip("/")


class AddressSettings(Group):
    """Where the UIs are, and how logs are written."""

    title = "Addresses and logs"

    mlflow_url: str = Field("http://127.0.0.1:5001", description="Address of the MLflow UI, for links.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="Address of the Dagster UI, for links.")
    dagster_api_url: str | None = Field(
        None, description="Address at which programs reach Dagster, where it is not that of the links."
    )
    log_format: Literal["text", "json"] = Field("text", description="How runs and the server write their log.")

    @property
    def launch_url(self) -> str:
        """Where runs are launched and looked up."""
        return self.dagster_api_url or self.dagster_url
