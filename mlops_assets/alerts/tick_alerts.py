"""Alerts of schedules and sensors that fail: what starts by itself does not, until somebody mends it."""

from __future__ import annotations

from mlops_assets.alerts.alert import Alert, Fact, Link, board_link, one_line, to_paste
from mlops_assets.assets.entry import OVERVIEW
from mlops_assets.project import Project
from mlops_assets.resources.ticks import FailedTick
from mlops_assets.sources.names import source_name


def tick_alert(project: Project, failed: FailedTick) -> Alert:
    """What to tell of a schedule or sensor that has begun to fail."""
    settings = project.settings
    stays = "predictions go on with what is there"
    page = f"{settings.dagster_url.rstrip('/')}/locations/{failed.location}/{failed.kind}s/{failed.name}"
    return Alert(
        key=f"tick:{failed.name}:{int(failed.at.timestamp())}",
        kinds=("failure",),
        happened_at=failed.at,
        title=f"{failed.name} fails",
        summary=f"The {failed.kind} {failed.name} starts nothing until this is mended; {stays}.",
        cause=one_line(project, failed.reason),
        advice="Repair the cause below; the next tick goes on by itself. What else may be amiss:",
        command=to_paste(settings, "doctor"),
        button=board_link(settings, OVERVIEW),
        facts=(
            Fact(failed.kind.capitalize(), failed.name),
            Fact("Source", source_name(project.spec)),
            Fact("Failed", f"{failed.at:%Y-%m-%d %H:%M:%S} UTC"),
        ),
        links=(Link(failed.name, page),),
    )
