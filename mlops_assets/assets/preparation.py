"""Data preparation: rows as they came, clean rows, and the one training set that all models share."""

from collections import deque
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.checks import check_results, check_specs, column_schema, not_judged, stop_if_harmful
from mlops_assets.assets.memo import OWNERS, RETRY, Made, begin, clear_failures, column_lineage
from mlops_assets.assets.records import all_latest, newest
from mlops_assets.assets.row_batches import WindowRows, cleaned, see_raw, store_clean, store_raw
from mlops_assets.core.prepare.splitting import SPLITS
from mlops_assets.project import Project

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "data_preparation"


def preparation_assets(months: dg.PartitionsDefinition, freshness: dg.FreshnessPolicy) -> list[dg.AssetsDefinition]:
    """`raw_data` and `clean_data` by month, and `training_set`."""

    @dg.asset(
        partitions_def=months,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version=recipes.CODE_VERSIONS["raw_data"],
        retry_policy=RETRY,
        check_specs=check_specs("raw_data"),
        output_required=False,
    )
    def raw_data(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]):
        """Rows as the source gave them, typed, under the aliases of the dataset's YAML."""
        from mlops_assets.core.prepare.quality import judge_raw
        from mlops_assets.core.prepare.row_statistics import RawRows
        from mlops_assets.core.prepare.schemas import raw_schema
        from mlops_assets.core.report.plots import bars, markdown_image

        month, spec = context.partition_key, project.spec
        with clear_failures(project):
            version = project.source.partitions().get(month)
            if version is None:
                context.log.warning(f"{month} is not published yet: nothing to do")
                yield from not_judged("raw_data", f"{month} is not published yet")
                return
            making = begin(context, project, recipes.raw_data(project, version))
            seen = RawRows(spec, month)
            stored = None
            if making.unchanged:
                see_raw(project, making.record.path, seen)
            else:
                stored = store_raw(project, month, seen)
            outcomes = judge_raw(spec, seen, month, _rows_before(context.instance, month))
            yield from check_results("raw_data", outcomes)
            with making.discarding(stored):
                stop_if_harmful(month, outcomes)
            if making.unchanged:
                yield making.again()
                return
            missing_plot = bars(list(seen.empty), list(seen.empty.values()), f"Rows without a value in {month}")
            shown = {
                "dagster/row_count": seen.rows,
                "megabytes": round(stored.size / 1e6, 3),
                "missing_values": sum(seen.empty.values()),
                "missing_plot": dg.MetadataValue.md(markdown_image(missing_plot, "rows without a value")),
            }
            yield making.done(Made(stored.digest, stored.path, shown | column_schema(raw_schema(spec))))

    @dg.asset(
        deps=[raw_data],
        partitions_def=months,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version=recipes.CODE_VERSIONS["clean_data"],
        check_specs=check_specs("clean_data"),
        output_required=False,
    )
    def clean_data(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]):
        """Rows that keep the rules of the dataset's YAML, with their target; nothing known only afterwards."""
        from mlops_assets.core.prepare.cleaning import Cleaner
        from mlops_assets.core.prepare.lineage import clean_lineage
        from mlops_assets.core.prepare.quality import judge_clean
        from mlops_assets.core.prepare.row_statistics import CleanRows
        from mlops_assets.core.prepare.schemas import clean_schema
        from mlops_assets.core.report.plots import bars, histogram, markdown_image

        month, spec = context.partition_key, project.spec
        with clear_failures(project):
            raw = newest(context.instance, "raw_data", month)
            making = begin(context, project, recipes.clean_data(project, raw))
            raw_rows = raw.value("dagster/row_count")
            cleaner, seen = Cleaner(spec, month), CleanRows(spec)
            stored = None
            if making.unchanged:
                deque(cleaned(project, raw.path, cleaner, seen), maxlen=0)
            else:
                stored = store_clean(project, month, raw.path, cleaner, seen)
            outcomes = judge_clean(spec, seen, month, cleaner.dropped, raw_rows)
            yield from check_results("clean_data", outcomes)
            with making.discarding(stored):
                stop_if_harmful(month, outcomes)
            if making.unchanged:
                yield making.again()
                return
            y = seen.y
            dropped = {spec.redact(rule): rows for rule, rows in cleaner.dropped.items()}
            dropped_plot = bars(list(dropped), list(dropped.values()), f"Rows dropped in {month}")
            target_plot = histogram(y, f"Target in {month}", spec.target.unit)
            shown = {
                "dagster/row_count": cleaner.kept,
                "rows_dropped": raw_rows - cleaner.kept,
                "dropped_by_rule": dropped,
                "target_mean": float(y.mean()),
                "dropped_plot": dg.MetadataValue.md(markdown_image(dropped_plot, "rows dropped by rule")),
                "target_plot": dg.MetadataValue.md(markdown_image(target_plot, "target")),
            }
            shown |= column_schema(clean_schema(spec)) | column_lineage("raw_data", clean_lineage(spec))
            yield making.done(Made(stored.digest, stored.path, shown))

    @dg.asset(
        deps=["clean_data"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "numpy"},
        code_version=recipes.CODE_VERSIONS["training_set"],
        freshness_policy=freshness,
    )
    def training_set(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> dg.MaterializeResult:
        """Train, validation and test of the newest months, encoded once for every model type."""
        from mlops_assets.core.prepare.lineage import dense_lineage
        from mlops_assets.core.report.plots import bars, markdown_image
        from mlops_assets.core.training_set import TrainingSet, write_training_set

        spec, seed = project.spec, project.settings.seed
        with clear_failures(project):
            months, cleaned = recipes.chosen_months(context.instance, project)
            making = begin(context, project, recipes.training_set(project, months, cleaned))
            if making.unchanged:
                return making.again()
            window = WindowRows.of(project, months, cleaned)

            def write(folder: "Path") -> None:
                write_training_set(folder, spec, window, months, seed, window.share)

            stored = project.storage.write_folder("training_set", "training_set", write)
            written = TrainingSet.load(project.storage.local_folder(stored.path))
            rows = [record.value("dagster/row_count") for record in cleaned.values()]
            shown = {
                "dagster/row_count": sum(written.rows.values()),
                **{f"{name}_rows": written.rows[name] for name in SPLITS},
                **{f"{name}_months": ", ".join(getattr(months, name)) or "none" for name in SPLITS},
                "rows_in_memory": min(window.rows, project.settings.memory_rows),
                "one_hot_columns": len(written.one_hot_names),
                "dense_columns": len(written.dense_names),
                "megabytes": round(stored.size / 1e6, 1),
                "rows_plot": dg.MetadataValue.md(
                    markdown_image(bars(list(cleaned), rows, "Rows by month"), "rows by month")
                ),
                "dagster/column_schema": _feature_schema(written.dense_names, written.categorical),
                **column_lineage("clean_data", dense_lineage(spec, written.encoder)),
            }
            return making.done(Made(stored.digest, stored.path, shown))

    return [raw_data, clean_data, training_set]


def _rows_before(instance: dg.DagsterInstance, month: str) -> dict[str, int]:
    records = all_latest(instance, "raw_data")
    return {name: record.value("dagster/row_count") for name, record in records.items() if name < month}


def _feature_schema(names: tuple[str, ...], categorical: tuple[bool, ...]) -> dg.TableSchema:
    columns = [
        dg.TableColumn(name, "category" if is_category else "float32")
        for name, is_category in zip(names, categorical, strict=True)
    ]
    return dg.TableSchema([*columns, dg.TableColumn("target", "float64")])
