"""`training_set`: train, validation and test rows of the newest periods, encoded once for every model type."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import dagster as dg

from mlops_assets.assets import clean_data, raw_data
from mlops_assets.assets.by_period import Result
from mlops_assets.assets.checks import asset_checks, check_results, stop_if_harmful
from mlops_assets.assets.entry import OWNERS, AssetEntry, State, freshness_policy
from mlops_assets.assets.memo import Made, begin, clear_failures, column_lineage
from mlops_assets.assets.recipes import LIBRARIES, libraries, same_settings, thinning
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.columns import SLICE_ROWS
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.folds import COUNT, has_folds, write_folds
from mlops_assets.core.prepare.cleaning import TARGET, kept_columns
from mlops_assets.core.prepare.quality import CheckOutcome
from mlops_assets.core.prepare.sides import SPLIT_CHECKS, Sides, judge_splits
from mlops_assets.core.prepare.splitting import SPLITS, Cutoffs, Periods, choose_periods, is_stratified
from mlops_assets.dataset.periods import MONTHS
from mlops_assets.errors import DataError
from mlops_assets.facts import Hidden
from mlops_assets.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from mlops_assets.core.training_set import Parts, TrainingSet
    from mlops_assets.resources.mlflow.tracking import TrainingData

NAME, CODE_VERSION = "training_set", "4"
OUTCOMES = "outcomes"  # of its checks, in the record


def chosen_periods(records: Records, project: Project) -> tuple[Periods, dict[str, Record]]:
    """The window over the periods that were cleaned, and their records; raises DataError where too few are there.

    Periods of another source, or that were cleaned by other rules and could not be cleaned anew, do not count.
    """
    raw, cleaned = records.all_latest("raw_data"), records.all_latest("clean_data")
    counting = [
        period
        for period, record in cleaned.items()
        if period in raw
        and same_settings(raw[period].recipe, raw_data.recipe(project, source_version=""))
        and same_settings(record.recipe, clean_data.recipe(project, raw[period]))
    ]
    cadence = project.spec.time.cadence if project.spec.time else MONTHS
    periods = choose_periods(counting, project.spec.window, cadence)
    return periods, {period: cleaned[period] for period in periods.all}


def recipe(project: Project, periods: Periods, cleaned: Mapping[str, Record]) -> Recipe:
    """Features, window, seed, the clean rows of each period, and the libraries that encode them."""
    settings = project.spec.model_dump(mode="json", include={"features", "window", "key"})
    settings |= {"seed": project.settings.seed} | ({"weights": project.spec.weights} if project.spec.weights else {})
    if project.spec.target.transform:
        settings["transform"] = project.spec.target.transform  # the levels for intervals are learnt by it
    if project.spec.features.group_means and len(project.target.labels) > 2:
        settings["group means"] = "rates of classes"
    if is_stratified(project.spec):
        settings["split"] = "stratified by class"
    if groups := project.spec.split.groups:
        settings["groups on one side"] = groups
    rows = sum(record.value("dagster/row_count") for record in cleaned.values())
    if has_folds(project.spec, rows):
        settings["folds"] = COUNT
    if allowed := [alias for alias in project.spec.inputs() if project.spec.columns[alias].missing == "allow"]:
        settings["may be missing"] = allowed
    settings |= thinning(project, rows)
    return Recipe(
        {
            "code": CODE_VERSION,
            "settings": settings,
            "data": {period: cleaned[period].content for period in periods.all},
            "libraries": libraries(*LIBRARIES[:2]),
        }
    )


def _recipe_now(state: State, partition: str | None) -> Recipe:
    return recipe(state.project, *chosen_periods(state.records, state.project))


def build(project: Project) -> dg.AssetsDefinition:
    @dg.asset(
        deps=["clean_data"],
        group_name="data_preparation",
        owners=OWNERS,
        kinds={"python", "numpy"},
        code_version=CODE_VERSION,
        freshness_policy=freshness_policy(project.settings),
        check_specs=asset_checks(NAME, SPLIT_CHECKS),
    )
    def training_set(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> Iterator[Result]:
        """Train, validation and test of the newest periods, encoded once for every model type."""
        with clear_failures(project):
            yield from _encode(context, project)

    return training_set


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="build_training_set",
    about="Build the training set from the newest periods.",
    build=build,
    recipe=_recipe_now,
    dashboard="data",
    uses_mlflow=False,
    goes_on_without_parents=True,
    made_in_every_retraining=True,
)


def _encode(context: dg.AssetExecutionContext, project: Project) -> Iterator[Result]:
    from mlops_assets.core.prepare.lineage import dense_lineage
    from mlops_assets.core.report.plots import bars, markdown_image
    from mlops_assets.core.training_set import TrainingSet, gather, write_training_set

    spec, seed = project.spec, project.settings.seed
    records = Records(context.instance)
    periods, cleaned = chosen_periods(records, project)
    making = begin(context, project, records, recipe(project, periods, cleaned))
    window = WatchedRows.of(project, periods, cleaned)
    if making.unchanged:
        yield from check_results(NAME, _judged_then(project, making.newest, window))
        yield making.again()
        return

    def write(folder: "Path") -> None:
        write_training_set(folder, spec, window, periods, seed, window.share)
        if has_folds(spec, window.rows) and window.share == 1:
            write_folds(folder, spec, gather(window, periods), periods, seed)

    stored = project.storage.write_folder(NAME, NAME, write)
    written = TrainingSet.load(project.storage.local_folder(stored.path))
    outcomes = _judge(project, window, written)
    yield from check_results(NAME, outcomes)
    with making.discarding(stored):
        stop_if_harmful(NAME, outcomes)
    rows = [record.value("dagster/row_count") for record in cleaned.values()]
    rows_plot = bars(list(cleaned), rows, "Rows by period")
    metadata = {
        "dagster/row_count": sum(written.rows.values()),
        **{f"{name}_rows": written.rows[name] for name in SPLITS},
        **{f"{name}_periods": ", ".join(getattr(periods, name)) or "none" for name in SPLITS},
        "gaps": ", ".join(periods.gaps) or "none",
        "rows_in_memory": min(window.rows, project.settings.memory_rows),
        "one_hot_columns": len(written.one_hot_names),
        "dense_columns": len(written.dense_names),
        "megabytes": round(stored.size / 1e6, 1),
        OUTCOMES: Hidden([asdict(outcome) for outcome in outcomes]),
        "rows_plot": dg.MetadataValue.md(markdown_image(rows_plot, "rows by period")),
        "dagster/column_schema": _feature_schema(project, written),
        **column_lineage("clean_data", dense_lineage(spec, written.encoder)),
    }
    if (folds := len(written.held_out)) > 1:
        metadata["folds"] = folds
    yield making.done(Made(stored.digest, stored.path, metadata))


def _judged_then(project: Project, record: Record, window: "WatchedRows") -> list[CheckOutcome]:
    """Outcomes of the checks as they were recorded; of a record from before there were any, found now."""
    from mlops_assets.core.training_set import TrainingSet

    if recorded := record.value(OUTCOMES):
        return [CheckOutcome(**outcome) for outcome in recorded]
    deque(window, maxlen=0)
    return _judge(project, window, TrainingSet.load(project.storage.local_folder(record.stored_path)))


def _judge(project: Project, window: "WatchedRows", written: "TrainingSet") -> list[CheckOutcome]:
    targets = {name: written.target(name) for name in SPLITS if getattr(window.periods, name)}
    return judge_splits(window.sides, targets, project.target.labels)


def _feature_schema(project: Project, written: "TrainingSet") -> dg.TableSchema:
    from mlops_assets.core.prepare.meanings import dense_meanings

    types = ["category" if is_category else "float32" for is_category in written.categorical]
    meanings = dense_meanings(project.spec, written.encoder).items()
    columns = zip(meanings, [*types, "float64"], strict=True)
    return dg.TableSchema([dg.TableColumn(name, kind, meaning) for (name, meaning), kind in columns])


@dataclass(frozen=True)
class WindowRows:
    """The clean rows of a window, divided into splits, a batch at a time: read anew by each pass.

    `paths`: where the rows of its periods are, oldest first; `rows`: how many these are.
    """

    project: Project
    periods: Periods
    paths: tuple[str, ...]
    rows: int

    @classmethod
    def of(cls, project: Project, periods: Periods, cleaned: Mapping[str, Record]) -> Self:
        paths = tuple(record.stored_path for record in cleaned.values())
        return cls(project, periods, paths, sum(record.value("dagster/row_count") for record in cleaned.values()))

    def __iter__(self) -> "Iterator[Parts]":
        from mlops_assets.core.training_set import divide

        spec, seed = self.project.spec, self.project.settings.seed
        for table in self._tables([*kept_columns(spec), TARGET]):
            yield divide(spec, table, self.periods, seed, self._cutoffs)

    def _tables(self, columns: list[str]) -> "Iterator[pa.Table]":
        for path in self.paths:
            yield from self.project.storage.read_batches(path, columns, SLICE_ROWS)

    @cached_property
    def _cutoffs(self) -> "Cutoffs | None":
        from mlops_assets.core.training_set import class_cutoffs, identity_columns

        spec = self.project.spec
        return class_cutoffs(spec, self._tables([*identity_columns(spec), TARGET]), self.project.settings.seed)

    @property
    def share(self) -> float:
        """The part of the rows that may be in memory: MLOPS_MEMORY_ROWS of them."""
        return min(1.0, self.project.settings.memory_rows / self.rows)


@dataclass(frozen=True)
class WatchedRows(WindowRows):
    """The same, with what is seen of splits as they go by."""

    sides: Sides = field(default_factory=Sides)

    def __iter__(self) -> "Iterator[Parts]":
        groups = self.project.spec.split.groups
        for parts in super().__iter__():
            for name, rows in parts.items():
                self.sides.add(name, {group: rows.for_gate[group] for group in groups}, rows.times)
            yield parts


def training_data(project: Project, built: Record) -> "TrainingData":
    """What a run in MLflow says that it learnt from."""
    from mlops_assets.resources.mlflow.tracking import TrainingData

    periods = tuple(built.recipe.parts["data"])
    return TrainingData(project.spec.name, NAME, built.content, periods, built.value("dagster/row_count"))


def window_of(records: Records, project: Project, built: Record) -> WindowRows:
    """The rows that a training set was built from; DataError where they, or the settings, have changed since."""
    periods, cleaned = chosen_periods(records, project)
    if recipe(project, periods, cleaned) != built.recipe:
        raise DataError("clean data or settings have changed since training_set: materialise training_set first")
    return WindowRows.of(project, periods, cleaned)
