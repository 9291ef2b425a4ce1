"""What the JSON endpoints answer, as the OpenAPI page describes it."""

# ruff: noqa: D101 -- a docstring here is a description in the OpenAPI document

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Error(Schema):
    """What is wrong with a request."""

    code: str = Field(description="For programs, such as invalid_input.")
    message: str = Field(description="For people: what is wrong, which one, and what to do.")
    row: int | None = Field(description="The row that is to blame, from 0.")
    field: str | None = Field(description="The field that is to blame.")
    request_id: str = Field(description="The same id is in the server's log.")


class ErrorAnswer(Schema):
    error: Error


class ModelCard(Schema):
    """The model that answered."""

    name: str
    version: int = Field(description="Version in the registry.")
    type: str = Field(description="Model type, such as XGBoost.")
    training_set: str | None = Field(description="Version of the training set: a digest of its content.")
    mlflow_run: str = Field(description="Link to the run that made it, in MLflow.")
    dagster_run: str | None = Field(description="Link to the run that made it, in Dagster.")


class Interval(Schema):
    low: float
    high: float


class FeatureContributions(Schema):
    """`base` and all contributions sum to the prediction, before it is kept within the target's range."""

    base: float
    features: dict[str, float] = Field(description="In the target's unit, the largest first.")


class RowAnswer(Schema):
    """What is said of one row."""

    prediction: float | None = Field(
        description="Of two classes the probability of the positive one; of more the place of the decided one, from 0."
    )
    decision: str | None = Field(None, description="Of classes: the one that is decided.")
    threshold: float | None = Field(None, description="Of two: the probability from which on the positive is decided.")
    probabilities: dict[str, float] | None = Field(None, description="Of classes, by label.")
    likely: list[str] | None = Field(
        None,
        description="Of classes: the set that holds the true one with the probability `coverage`, in each class. The "
        "most probable is not in it where the share `coverage` of its rows are more clearly so.",
    )
    interval: Interval | None = Field(
        description="Of numbers. Holds the truth with the probability `coverage`; null where an input is `missing`."
    )
    out_of_range: list[str] = Field(
        description="Inputs outside the range of the rows that the model learnt from, and times that no clock shows."
    )
    unseen: list[str] = Field(description="Inputs whose category those rows did not have.")
    missing: list[str] = Field(description="Inputs that are absent, and that those rows had always.")
    contributions: FeatureContributions | None = Field(None, description="Only with explain=true.")


class Shared(Schema):
    unit: str = Field(description="Of predictions, intervals and contributions.")
    coverage: float | None = Field(description="Probability that an interval holds the truth.")
    model: ModelCard
    request_id: str


class OneAnswer(RowAnswer, Shared):
    """The answer to one row."""


class ListAnswer(Shared):
    """The answers to a list of rows, in their order."""

    predictions: list[RowAnswer]


class BatchAnswer(Shared):
    """The answers to a table of rows, column by column."""

    rows: int
    prediction: list[float | None] = Field(
        description="Of two classes the probability of the second, of more the place of the one that is decided."
    )
    low: list[float | None] = Field(description="Of the interval; of two classes the least in the set, as 0 or 1.")
    high: list[float | None] = Field(description="Of the interval; of two classes the greatest in the set, as 0 or 1.")
    out_of_range: dict[str, list[int]] = Field(description="Places of the flagged rows, by input.")
    unseen: dict[str, list[int]] = Field(description="Places of the flagged rows, by input.")
    missing: dict[str, list[int]] = Field(description="Places of the flagged rows, by input.")


class InputField(Schema):
    """One input of the model; range and categories are those of the rows that it learnt from."""

    name: str
    type: Literal["number", "integer", "text", "time"]
    categories: list[str] | None
    low: float | str | None
    high: float | str | None
    timezone: str | None = Field(description="Of times that are sent without an offset.")
    was_missing: bool | None = Field(description="Some of those rows lacked it; null where that is not known.")
    least: float | None = Field(description="The least that it may be by the dataset's rules.")
    most: float | None = Field(description="The most that it may be by the dataset's rules.")
    is_clock: bool = Field(description="A clock time written hhmm.")


class ModelPage(Schema):
    """All about the model that answers."""

    model: ModelCard
    unit: str
    coverage: float | None
    loaded_at: datetime
    registered_at: datetime
    registry_page: str
    verdict: str | None = Field(description="Why it became champion.")
    periods: list[str] = Field(description="The periods that it learnt from.")
    metrics: dict[str, float]
    signature: list[InputField]
    examples: list[dict[str, Any]] = Field(description="Rows that can be sent as they are.")


class LoadedModel(Schema):
    version: int
    type: str
    loaded_at: datetime
    age_seconds: float


class Health(Schema):
    """The process is alive; whether it can answer, `/ready` tells."""

    status: Literal["alive"]
    model: LoadedModel | None
    last_look: datetime | None = Field(description="When the registry was last asked who is champion.")
    last_reload_error: str | None = Field(description="Why the champion of the registry is not the model in use.")


class Ready(Schema):
    status: Literal["ready"]
    model_version: int


class Refresh(Schema):
    status: Literal["looking"]
