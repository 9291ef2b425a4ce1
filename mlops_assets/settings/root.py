"""The folder of the project, and the environment as its `.env` file completes it."""

import os
from pathlib import Path

from dotenv import dotenv_values

CHECKOUT = Path(__file__).resolve().parents[2]


def project_root() -> Path:
    """The checkout when there is one, else the working directory."""
    return CHECKOUT if (CHECKOUT / "workspace.yaml").is_file() else Path.cwd()


def environment() -> dict[str, str]:
    """The process environment over the values of the project's `.env` file, where there is one."""
    from_file = {k: v for k, v in dotenv_values(project_root() / ".env").items() if v is not None}
    return from_file | dict(os.environ)
