"""`drift_report`: what of its rows is no longer like those that the model of its time has learnt from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import dagster as dg
import numpy as np

from mlops_assets.assets.by_period import Result, make_periods, period_asset, period_check
from mlops_assets.assets.champion_model import answered_then
from mlops_assets.assets.entry import LOOKED_AT, RETRY, AssetEntry, State
from mlops_assets.assets.memo import Made, begin
from mlops_assets.assets.recipes import is_tracked_here, tracking_place
from mlops_assets.assets.records import REIGNS, Record, Records
from mlops_assets.core.columns import Columns, concatenate, from_table, take
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.monitor.drift import Dropped, Sample, add_up, variables
from mlops_assets.core.prepare.cleaning import TARGET
from mlops_assets.core.types import FloatArray
from mlops_assets.dataset import SNAPSHOT
from mlops_assets.errors import InputError, ModelError
from mlops_assets.facts import Hidden
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.registry import LEARNT_TAG
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.monitor.drift import DriftReport
    from mlops_assets.resources.mlflow.version import Version


Key = TypeVar("Key")
Value = TypeVar("Value")

NAME, CODE_VERSION = "drift_report", "1"
CHECK = "no_drift"
STRENGTH = "strength/"  # of a variable, a number that Dagster plots over time
# Of a period and of what it is compared with, spread evenly: chance moves a KS distance by 0.016 then.
ROWS = 30_000


@dataclass(frozen=True)
class Basis:
    """A period's clean rows, the version that answered then (0 for none), and the periods before it, oldest first."""

    cleaned: Record
    version: int
    reference: Mapping[str, Record]
    last_year: Record | None

    def recipe(self, project: Project) -> Recipe:
        periods = dict(self.reference)
        if self.last_year:
            periods[self.last_year.partition_key] = self.last_year
        settings = {
            "features": project.spec.features.model_dump(mode="json"),
            "tracking": tracking_place(project),
        }
        return Recipe(
            {
                "code": CODE_VERSION,
                "settings": settings,
                "data": {period: record.content for period, record in periods.items()},
                "upstream": {"clean_data": self.cleaned.content, "version": self.version},
            }
        )


def find_basis(records: Records, project: Project, period: str) -> Basis:
    """Raises DataError where the period is not cleaned."""
    cleaned = records.newest("clean_data", period)
    version, learnt_until = _reigning(records, project, period)
    known = sorted(name for name in records.all_latest("clean_data") if name < period)
    alike = {name: _alike(records, cleaned, name) for name in known if name <= learnt_until}
    reference = {name: record for name, record in alike.items() if record}
    newest_first = sorted(reference, reverse=True)[: project.spec.window.train_periods]
    season = project.spec.time.cadence.year_before(period) if project.spec.time else None
    return Basis(
        cleaned=cleaned,
        version=version,
        reference={name: reference[name] for name in reversed(newest_first)},
        last_year=_alike(records, cleaned, season) if season and season in known else None,
    )


def _reigning(records: Records, project: Project, period: str) -> tuple[int, str]:
    """Who answered in a period, and the newest period that this version had learnt from.

    Before the first champion it is the one that was asked first: a later one does not change the report.
    """
    champion = records.latest("champion_model")
    if champion is None or not champion.value("champion_version"):
        return 0, period
    if version := answered_then(champion, period):
        return version, next(r["learnt_until"] for r in champion.value(REIGNS) if r["version"] == version)
    previous = records.latest(NAME, period)
    if previous and is_tracked_here(project, previous.recipe):
        return previous.recipe.parts["upstream"]["version"] or champion.value("champion_version"), period
    return champion.value("champion_version"), period


def _alike(records: Records, cleaned: Record, period: str) -> Record | None:
    """The record of another period that was cleaned by the same rules."""
    record = records.latest("clean_data", period)
    same = record and record.recipe.parts["settings"] == cleaned.recipe.parts["settings"]
    return record if same else None


@dataclass(frozen=True)
class Asked:
    """The model whose predictions are compared; `held_out`: it has not learnt from the period."""

    model: "Model"
    version: "Version"
    held_out: bool


def ask(project: Project, basis: Basis) -> Asked | None:
    """The version that answered in the period; where it learnt from the period, the one that won for it stands in.

    None where there is no champion. Raises ModelError or InputError where it cannot answer for the present columns.
    """
    if not basis.version:
        return None
    period = basis.cleaned.partition
    version, registry = project.registry.version(basis.version), project.registry
    held_out = period not in learnt_periods(project, version)
    if not held_out and "candidate" in version.tags:
        twin = registry.version(int(version.tags["candidate"]))
        if period not in learnt_periods(project, twin):
            version, held_out = twin, True
    model = registry.load(version.number)
    if gone := [alias for alias in model.spec.inputs() if alias not in project.spec.inputs()]:
        raise InputError(f"version {version.number} needs {', '.join(gone)}, which clean data no longer has")
    return Asked(model, version, held_out)


def learnt_periods(project: Project, version: "Version") -> tuple[str, ...]:
    """The periods a version was fitted on: all of its window where it is a refit, else those of the train split."""
    if LEARNT_TAG in version.tags:
        return tuple(version.tags[LEARNT_TAG].split(","))
    periods, window = tuple(version.tags["periods"].split(",")), project.spec.window  # of release 0.1
    if "candidate" in version.tags or periods == (SNAPSHOT,):
        return periods
    return periods[: -(window.validation_periods + window.test_periods)]


class Recent(Generic[Key, Value]):
    """What the last two reports have asked for: a reference mostly differs by one period from the one before."""

    def __init__(self) -> None:
        self._before: dict[Key, Value] = {}
        self._now: dict[Key, Value] = {}

    def next_report(self) -> None:
        self._before, self._now = self._now, {}

    def get(self, key: Key) -> Value | None:
        return self._now.get(key) or self._before.get(key)

    def keep(self, key: Key, value: Value) -> Value:
        self._now[key] = value
        return value


class Thinned:
    """Every so many of the clean rows at a path, and what a model says of them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._rows: Recent[tuple[str, int], Columns] = Recent()
        self._said: Recent[tuple[str, int], tuple[int, FloatArray]] = Recent()

    def next_report(self) -> None:
        self._rows.next_report()
        self._said.next_report()

    def read(self, path: str, step: int) -> Columns:
        rows = self._rows.get((path, step))
        if rows is None:
            names = [*self._project.spec.inputs(), TARGET]
            table = self._project.storage.read_table(path, names)
            rows = take(from_table(table, names), slice(None, None, step))
        return self._rows.keep((path, step), rows)

    def predict(self, asked: Asked, path: str, step: int) -> FloatArray:
        """Predictions of these rows (n,), out of those of more of them where such were asked for before."""
        key = path, asked.version.number
        said = self._said.get(key)
        if said is None or step % said[0]:
            rows = self.read(path, step)
            said = step, asked.model.predict_columns({name: rows[name] for name in self._project.spec.inputs()})
        each, predictions = self._said.keep(key, said)
        return predictions[:: step // each]


def read_sample(project: Project, records: Sequence[Record], asked: Asked | None, thinned: Thinned) -> Sample:
    """The variables of these periods' clean rows, evenly thinned, and what cleaning had dropped."""
    step = -(-sum(record.value("dagster/row_count") for record in records) // ROWS)
    paths = [record.stored_path for record in records]
    columns = dict(concatenate([thinned.read(path, step) for path in paths]))
    y = columns.pop(TARGET)
    prediction = np.concatenate([thinned.predict(asked, path, step) for path in paths]) if asked else None
    return Sample(variables(project.spec, columns, y, prediction), add_up(_dropped(record) for record in records))


def _dropped(record: Record) -> Dropped:
    rows = record.value("dagster/row_count") + record.value("rows_dropped")
    return Dropped(rows, record.value("dropped_by_rule"))


def _recipe_now(state: State, period: str | None) -> Recipe:
    return find_basis(state.records, state.project, period or "").recipe(state.project)


def build(project: Project) -> dg.AssetsDefinition:
    @period_asset(
        ENTRY,
        project,
        deps=["clean_data", "training_set", "predictions"],
        group_name="monitoring",
        kinds={"python"},
        retry_policy=RETRY,
        check_specs=[
            period_check(
                ENTRY, project, CHECK, description="Features, predictions and target are like those learnt from."
            )
        ],
    )
    def drift_report(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[Project], progress: dg.ResourceParam[Progress]
    ):
        """Which features, predictions and targets of a period differ from the training window, and by how much."""
        with project.registry.keeping_loaded():
            yield from make_periods(context, project, progress, partial(_report, context, project, Thinned(project)))

    return drift_report


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="report_drift",
    about="Compare one period with those that the model of its time had learnt from.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="period",
    newest=LOOKED_AT,
    dashboard="data",
    # What the champion of that time had learnt from stays the same.
    unmoved_by=frozenset({"predictions", "training_set"}),
    goes_on_without_parents=True,
)


def _report(
    context: dg.AssetExecutionContext, project: Project, thinned: Thinned, records: Records, period: str
) -> Iterator[Result]:
    basis = find_basis(records, project, period)
    making = begin(context, project, records, basis.recipe(project), period)
    if making.unchanged:
        yield _check(making.newest.facts)
        yield making.again()
        return
    thinned.next_report()
    metadata = _metadata(project, basis, thinned)
    yield _check(metadata)
    content = Recipe({"rows": metadata["drift_rows"].value, "judgement": metadata["judgement"]}).digest
    yield making.done(Made(content, None, metadata))


def _check(facts: Mapping[str, Any]) -> dg.AssetCheckResult:
    """The check, with numbers that Dagster plots over time: how many have drifted, and how far each has moved."""
    strengths = {name: value for name, value in facts.items() if name.startswith(STRENGTH)}
    numbers = {"drifted": facts["drifted_count"], "strongest": max(strengths.values(), default=0.0)}
    return dg.AssetCheckResult(
        asset_key=NAME,
        check_name=CHECK,
        passed=not facts["drifted_count"],
        severity=dg.AssetCheckSeverity.WARN,
        description=facts["judgement"],
        metadata=numbers | strengths,
    )


def _metadata(project: Project, basis: Basis, thinned: Thinned) -> dict[str, Any]:
    from mlops_assets.core.monitor.drift import DriftReport, compare

    asked, note = _asked(project, basis)
    facts: dict[str, Any] = {
        "dagster/row_count": basis.cleaned.value("dagster/row_count"),
        "reference_periods": ", ".join(basis.reference) or "none",
        "last_year": basis.last_year.partition if basis.last_year else "none",
        "model_version": asked.version.number if asked else 0,
        "held_out": bool(asked and asked.held_out),
    }
    if not basis.reference:
        return facts | _judged(project, DriftReport(()), f"no period before it to compare with{note}")
    current, reference = (
        read_sample(project, records, asked, thinned) for records in ([basis.cleaned], list(basis.reference.values()))
    )
    last_year = read_sample(project, [basis.last_year], asked, thinned) if basis.last_year else None
    report = compare(current, reference, last_year, held_out=facts["held_out"])
    return facts | _judged(project, report, note) | _plots(project, basis, report, current, reference)


def _asked(project: Project, basis: Basis) -> tuple[Asked | None, str]:
    """The model to ask, and a note where there is none that can answer."""
    try:
        return ask(project, basis), ""
    except (ModelError, InputError) as error:
        return None, f"; predictions are not compared: {error}"


def _judged(project: Project, report: "DriftReport", note: str) -> dict[str, Any]:
    from mlops_assets.core.monitor.drift_views import rows, sentence, table

    redact = project.spec.redact
    judgement = f"{sentence(report)}{note}" if report.shifts else note
    public_rows = [row | {"told": redact(row["told"])} for row in rows(report)]
    return {
        "drifted": ", ".join(shift.name for shift in report.drifted) or "none",
        "drifted_count": len(report.drifted),
        "judgement": redact(judgement),
        "drift": dg.MetadataValue.md(redact(table(report))),
        "drift_rows": Hidden(public_rows),
    } | {f"{STRENGTH}{shift.name}": shift.strongest.strength for shift in report.shifts}


def _plots(project: Project, basis: Basis, report: "DriftReport", current: Sample, reference: Sample) -> dict[str, Any]:
    from mlops_assets.core.monitor.drift_views import distributions, strengths
    from mlops_assets.core.report.plots import markdown_image

    plots = {"drift_plot": (strengths(report, f"Drift in {basis.cleaned.partition}"), "drift by variable")}
    if moved := distributions(report, current, reference):
        plots["distribution_plot"] = moved, "what moved most"
    return {name: dg.MetadataValue.md(markdown_image(*plot)) for name, plot in plots.items()}
