"""Explanations of registered models: made once, kept with their MLflow run, and shown where they were made."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.records import Records
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.explain.importance import Explanation
    from mlops_assets.resources.mlflow.version import Version

FOLDER, FILE = "explanation", "explanation.json"
TOP = 10


def explained(records: Records, project: Project, version: "Version", period: str) -> dict[str, Any]:
    """Metadata on what a version goes by. Where its MLflow run has no explanation yet, rows of `period` give it one."""
    return _metadata(project, explanation_of(records, project, version, period))


def explanation_of(records: Records, project: Project, version: "Version", period: str) -> "Explanation":
    """The explanation that is kept with a version's run, or one that is made of rows of `period`, and kept there."""
    return stored_explanation(project, version) or _explain(records, project, version, period)


def stored_explanation(project: Project, version: "Version") -> "Explanation | None":
    """The explanation that is kept with a version's run, or None."""
    from mlops_assets.core.explain.importance import Explanation

    text = read_artefact(project, version.run_id, f"{FOLDER}/{FILE}")
    return Explanation.from_json(text) if text else None


def read_artefact(project: Project, run_id: str, path: str) -> str | None:
    """A text that is kept with a run, or None; raises TrackingError."""
    content = read_bytes(project, run_id, path)
    return None if content is None else content.decode()


def read_bytes(project: Project, run_id: str, path: str) -> bytes | None:
    """An artefact that is kept with a run, or None; raises TrackingError."""
    client = project.tracking.client
    with project.tracking.errors("read an artefact of a run"), tempfile.TemporaryDirectory() as folder:
        if path not in {item.path for item in client.list_artifacts(run_id, path.rpartition("/")[0])}:
            return None
        return Path(client.download_artifacts(run_id, path, folder)).read_bytes()


def write_artefacts(project: Project, run_id: str, folder: str, files: dict[str, bytes]) -> None:
    """Keep files with a run; those of the same name are replaced. Raises TrackingError."""
    with tempfile.TemporaryDirectory() as temporary:
        for name, content in files.items():
            (Path(temporary) / name).write_bytes(content)
        with project.tracking.errors("log artefacts of a run"):
            project.tracking.client.log_artifacts(run_id, temporary, folder)


def _explain(records: Records, project: Project, version: "Version", period: str) -> "Explanation":
    from mlops_assets.core.columns import from_table
    from mlops_assets.core.explain.importance import Explanation, explain_model
    from mlops_assets.core.prepare.cleaning import TARGET

    columns_to_read = [*project.spec.inputs(), TARGET]
    table = project.storage.read_table(records.newest("clean_data", period).stored_path, columns_to_read)
    columns = from_table(table, columns_to_read)
    y = columns.pop(TARGET)
    explained_now = explain_model(project.registry.load(version.number), columns, y, project.settings.seed)
    text = project.spec.redact(explained_now.to_json())
    files, explanation = {FILE: text.encode()}, Explanation.from_json(text)
    files |= {f"{name}.svg": picture for name, picture in _pictures(explanation, project.target.adds_in).items()}
    write_artefacts(project, version.run_id, FOLDER, files)
    return explanation


def _pictures(explanation: "Explanation", unit: str) -> dict[str, bytes]:
    from mlops_assets.core.explain.plots import coefficient_bars, dependence, importance_bars, swarm, waterfalls

    pictures = {"importance": importance_bars(explanation, unit)}
    if explanation.contributions is not None:
        pictures["contributions"] = swarm(explanation, unit)
        pictures["waterfalls"] = waterfalls(explanation, unit)
        if picture := dependence(explanation, unit):
            pictures["dependence"] = picture
    if explanation.coefficients:
        pictures["coefficients"] = coefficient_bars(explanation.coefficients, unit)
    return pictures


def _metadata(project: Project, explanation: "Explanation") -> dict:
    from mlops_assets.core.report.plots import markdown_image

    unit = project.target.adds_in
    lines = [f"| feature | {explanation.method}{f' ({unit})' if unit else ''} |", "|---|---|"]
    lines += [f"| {weight.name.replace('|', '/')} | {weight.value:.4g} |" for weight in explanation.importance[:TOP]]
    table = project.spec.redact("\n".join(lines))
    metadata = {"explained_rows": explanation.rows, "importance": dg.MetadataValue.md(table)}
    pictures = _pictures(explanation, unit).items()
    return metadata | {f"{name}_plot": dg.MetadataValue.md(markdown_image(svg, name)) for name, svg in pictures}
