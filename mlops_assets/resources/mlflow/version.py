"""A version of the registered model, as those who ask for one see it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Version:
    """A registered version of the model; `run_id` is empty where it was registered by hand, without a run.

    `page`: the path of its page in MLflow.
    """

    number: int
    run_id: str
    model_type: str
    tags: dict[str, str]
    page: str
    created: datetime
