"""What a dataset's YAML says of its target, and which of its keys go together."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mlops_assets.dataset.part import Part
from mlops_assets.dataset.parts import Alias

TargetKindName = Literal["number", "count", "binary", "category"]
CLASS_KINDS = ("binary", "category")
MetricName = Literal["rmse", "mae", "rmsle", "pinball", "poisson", "tweedie", "log_loss", "brier", "cost"]
_OF_NUMBERS: tuple[MetricName, ...] = ("rmse", "mae", "rmsle", "pinball", "poisson", "tweedie")
_OF_CLASSES: tuple[MetricName, ...] = ("log_loss", "brier", "cost")
METRICS: Mapping[TargetKindName, tuple[MetricName, ...]] = {
    "number": _OF_NUMBERS,
    "count": _OF_NUMBERS,
    "binary": _OF_CLASSES,
    "category": _OF_CLASSES,
}
MOST_CLASSES = 100
READ_AS_BINARY = "0/1: read as binary; write kind: number to regress it"
_ONLY_FOR_CLASSES = ("costs", "precision", "recall", "balanced")
_ONLY_FOR_NUMBERS = ("keep", "transform", "quantile", "intervals", "unit")
_ONLY_FOR_BINARY = ("precision", "recall")


class Target(Part):
    """What is predicted: a column, or the minutes between two time columns; and what kind of thing it is."""

    column: Alias | None = Field(None, description="Alias of a number column, or of a text column with classes.")
    minutes_between: tuple[Alias, Alias] | None = Field(None, description="Aliases of start and end time.")
    kind: TargetKindName | None = Field(
        None,
        description="`number`, `count` (0, 1, 2, ...), `binary` (two classes) or `category` (more). Left out: "
        "two classes where `above` or `positive` is given or the column is a `boolean`, more where `classes` are, else "
        "number.",
    )
    above: float | None = Field(None, description="Makes two classes of a number: whether it is greater than this.")
    positive: str | float | None = Field(None, description="Makes two classes of a column: whether it has this value.")
    classes: tuple[str | float, ...] = Field((), description="The classes of a category; other rows are dropped.")
    metric: MetricName | None = Field(
        None,
        description="What is minimised, judged and promised. Of numbers `rmse` (where left out), `mae`, `rmsle`, "
        "`pinball` (with `quantile`), `poisson` (of counts where left out), `tweedie`; of classes `log_loss` (where "
        "left out), `brier`, `cost` (with `costs`).",
    )
    quantile: float | None = Field(None, gt=0, lt=1, description="Of `pinball`: which quantile is predicted.")
    transform: Literal["log"] | None = Field(None, description="`log`: learnt by its logarithm, for many decades.")
    intervals: Literal["quantiles"] | None = Field(
        None,
        description="`quantiles`: intervals are as wide as a model of the target's quantiles says of each row, "
        "calibrated. Left out: by the residuals of rows with about the same prediction.",
    )
    costs: tuple[tuple[float, ...], ...] = Field(
        (), description="What a decision costs: a row a true class, a column a decided one. Decides by least cost."
    )
    precision: float | None = Field(None, gt=0, lt=1, description="Two classes: the share of alarms to be right.")
    recall: float | None = Field(None, gt=0, lt=1, description="Two classes: the share of positives to be found.")
    balanced: bool = Field(False, description="Classes weigh the same in fits, however many rows they have.")
    keep: tuple[float, float] | None = Field(None, description="Rows with a target outside this range are dropped.")
    unit: str = Field("", description="Unit of the target, for people.")

    @field_validator("transform", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "none" else value

    @model_validator(mode="before")
    @classmethod
    def _told_kind(cls, value: object) -> object:
        """The kind that other keys tell of."""
        if not isinstance(value, dict) or value.get("kind") is not None:
            return value
        if value.get("above") is not None or value.get("positive") is not None:
            return value | {"kind": "binary"}
        return value | {"kind": "category"} if value.get("classes") else value

    @model_validator(mode="after")
    def _one_of(self) -> "Target":
        if (self.column is None) == (self.minutes_between is None):
            raise ValueError("give either column or minutes_between")
        if self.keep and self.keep[0] >= self.keep[1]:
            raise ValueError("keep must be [low, high] with low < high")
        if text := "; ".join(target_problems(self)):
            raise ValueError(text)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Aliases that the target is made of; unknown before the event."""
        return (self.column,) if self.column else tuple(self.minutes_between or ())

    @property
    def has_classes(self) -> bool:
        return self.kind in CLASS_KINDS


def target_problems(target: Target) -> Iterator[str]:
    """Keys that do not go with the kind of a target."""
    kind = target.kind or "number"
    if target.metric and target.metric not in METRICS[kind]:
        yield f"metric: {target.metric} does not fit kind {kind} (metrics: {', '.join(METRICS[kind])})"
    if (target.metric == "pinball") != (target.quantile is not None):
        yield "metric: pinball and quantile go together"
    if target.metric == "cost" and not target.costs:
        yield "metric: cost needs costs"
    unfit = _ONLY_FOR_CLASSES if not target.has_classes else _ONLY_FOR_NUMBERS
    for name in (*unfit, *(_ONLY_FOR_BINARY if kind == "category" else ())):
        if getattr(target, name):
            yield f"{name} is not for kind {kind}"
    if kind == "category":
        yield from _class_problems(target)
    if kind != "category" and target.classes:
        yield "classes are for kind category: of two, name one by positive"
    if target.above is not None and target.positive is not None:
        yield "give either above or positive"
    if len([name for name in ("costs", "precision", "recall") if getattr(target, name)]) > 1:
        yield "give one of costs, precision and recall to decide by"
    count = len(target.classes) if kind == "category" else 2
    if target.costs and (len(target.costs) != count or any(len(row) != count for row in target.costs)):
        yield f"costs must be {count} rows of {count} numbers, in the order of the classes"
    elif target.costs and any(row[place] >= max(row) for place, row in enumerate(target.costs)):
        yield "costs: in each row the right decision must cost less than a wrong one"


def _class_problems(target: Target) -> Iterator[str]:
    if len(target.classes) < 3:
        yield "kind category needs classes, at least three; of two, name one by positive"
    if len(target.classes) > MOST_CLASSES:
        yield f"{len(target.classes)} classes are more than {MOST_CLASSES}: merge the rare ones in the source"
    if len(set(target.classes)) < len(target.classes):
        yield "classes: one is given twice"
