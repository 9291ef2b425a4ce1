"""What plots show of the champion itself: its contributions on real rows, and its errors on rows it had not learnt.

Both are computed when first asked for, and kept for as long as the champion is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import Columns, from_table, length, take
from mlops_assets.core.model.contributions import is_exact
from mlops_assets.core.prepare.cleaning import TARGET, kept_columns
from mlops_assets.core.prepare.splitting import Periods
from mlops_assets.core.training_set import split_rows
from mlops_assets.dashboards.sources.source import Reading
from mlops_assets.dataset import SNAPSHOT

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.model.answers import Answers
    from mlops_assets.core.model.contributions import Contributions
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.targets.kind import Plots
    from mlops_assets.project import Project
    from mlops_assets.resources.mlflow.version import Version

EXACT_ROWS, OTHER_ROWS = 500, 100  # of trees and linear models; of others each row takes many predictions
MOST_ERRORS = 50_000


@dataclass(frozen=True, eq=False)
class ExplainedRows:
    """Rows (n,) of the champion's newest period, what it says of them, why, and what came true.

    `rows` are places in the period's clean table.
    """

    version: int
    model_type: str
    model: Model
    period: str
    rows: np.ndarray
    columns: Columns
    y: np.ndarray
    prediction: np.ndarray
    contributions: Contributions


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """Rows (n,) that the gate judged by, answered by the version that had not learnt from them."""

    version: int
    model_type: str
    period: str
    columns: Columns
    y: np.ndarray
    answers: Answers
    model: Model

    @cached_property
    def pictures(self) -> Plots:
        """How good it is, by the title of each picture; made when called."""
        model = self.model
        return model.kind.plots(self.y, model.output(self.columns), model.finish)

    @property
    def errors(self) -> np.ndarray:
        """Prediction minus truth (n,)."""
        return self.answers.prediction - self.y


class Evidence:
    """The champion's evidence. Methods give None while there is no champion; they raise MlopsError."""

    def __init__(self, project: Project, materialisations: Callable[[], Reading]) -> None:
        self._project, self._materialisations = project, materialisations
        self._lock = Lock()  # several charts of a page ask for the same
        self._explain = lru_cache(maxsize=2)(self._explain_version)
        self._judge = lru_cache(maxsize=2)(self._judge_version)

    def explained(self) -> ExplainedRows | None:
        with self._lock:
            champion = self._project.registry.champion()
            return self._explain(champion.number) if champion else None

    def judged(self) -> JudgedRows | None:
        with self._lock:
            champion = self._project.registry.champion()
            return self._judge(champion.number) if champion else None

    def clean_table(self, period: str) -> pa.Table | None:
        """The clean rows of a period; None where they are not there."""
        frame = self._materialisations().frame
        rows = frame[(frame["asset"] == "clean_data") & (frame["partition"] == period) & frame["latest"]]
        path = rows["details"].iloc[-1].get("path") if len(rows) else None
        return self._project.storage.read_table(path) if path and self._project.storage.exists(path) else None

    def _explain_version(self, number: int) -> ExplainedRows | None:
        project = self._project
        version = project.registry.version(number)
        period = version.tags["periods"].split(",")[-1]
        table = self.clean_table(period)
        if table is None:
            return None
        model = project.registry.load(number)
        rng = np.random.default_rng(project.settings.seed)
        rows = np.sort(rng.permutation(table.num_rows)[: EXACT_ROWS if is_exact(model.estimator) else OTHER_ROWS])
        some = table.take(rows)
        columns = from_table(some, project.spec.inputs())
        return ExplainedRows(
            version=number,
            model_type=version.model_type,
            model=model,
            period=period,
            rows=rows,
            columns=columns,
            y=some.column(TARGET).to_numpy(),
            prediction=model.predict_columns(columns),
            contributions=model.contributions(columns),
        )

    def _judge_version(self, number: int) -> JudgedRows | None:
        project = self._project
        version = project.registry.version(number)
        period, candidate = version.tags["periods"].split(",")[-1], version.tags.get("candidate")
        table = self.clean_table(period)
        if table is None or candidate is None:
            return None
        columns, y = self._unseen(table, period, version)
        if length(columns) > MOST_ERRORS:
            some = np.arange(MOST_ERRORS) * length(columns) // MOST_ERRORS
            columns, y = take(columns, some), y[some]
        model = project.registry.load(int(candidate))
        return JudgedRows(int(candidate), version.model_type, period, columns, y, model.answer(columns), model)

    def _unseen(self, table: pa.Table, period: str, version: Version) -> tuple[Columns, np.ndarray]:
        """The newest period is whole in the split that the gate judges by; of a snapshot only some rows are."""
        spec = self._project.spec
        if period != SNAPSHOT:
            return from_table(table, spec.inputs()), table.column(TARGET).to_numpy()
        periods, kept = Periods((SNAPSHOT,), (SNAPSHOT,), (SNAPSHOT,)), table.select([*kept_columns(spec), TARGET])
        parts = split_rows(spec, [kept], periods, self._project.settings.seed)
        judged = parts["validation" if version.tags.get("judged_on") == "validation" else "test"]
        return judged.columns, judged.y
