"""Reads the YAML files that people write."""

from pathlib import Path
from typing import Any

import yaml

from mlops_assets.errors import SpecError

LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # the one in C takes a sixth of the time


def read_yaml(path: Path) -> Any:
    """What a file says. Raises SpecError that names it where it cannot be read, and shows the line that is no YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} cannot be read: {error}") from None
    try:
        return yaml.load(text, LOADER)
    except yaml.YAMLError:
        pass
    try:
        return yaml.safe_load(text)  # which shows the line
    except yaml.YAMLError as error:
        raise SpecError(f"{path.name} is not valid YAML: {error}") from None
