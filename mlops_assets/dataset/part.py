"""What every part of a YAML file is: of a dataset's, and of a dashboard's."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of the spec's parts: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
