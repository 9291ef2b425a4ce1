"""The services of a deployment: does each run, and if not, what starts it?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from mlops_assets.errors import ServiceError
from mlops_assets.instance import open_instance
from mlops_assets.project import Project

SECONDS = 5  # to wait for an answer


def _webserver(project: Project) -> str:
    from mlops_assets.resources.launch_client import LaunchClient

    url = project.settings.launch_url
    return f"Dagster {LaunchClient(url, SECONDS).version()} at {url}"


def _code_location(project: Project) -> str:
    from mlops_assets.resources.launch_client import LaunchClient

    return LaunchClient(project.settings.launch_url, SECONDS).code_location()


def _daemon(project: Project) -> str:
    from mlops_assets.resources.heartbeats import heartbeat_ages, silent

    with open_instance(project) as instance:
        ages = heartbeat_ages(instance, datetime.now(UTC))
    if parts := silent(ages):
        told = "it" if len(parts) == len(ages) else f"its {', '.join(parts)}"
        raise ServiceError(f"{told} was not heard of for minutes: start it (mlops-assets dev, or dagster-daemon run)")
    return f"heard of {max(ages.values()):.0f} s ago"


def _predictions(project: Project) -> str:
    import requests

    url = project.settings.predictions_url
    try:
        answer = requests.get(f"{url}/ready", timeout=SECONDS)
        told = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise ServiceError(
            f"{url} does not answer ({type(error).__name__}): start it (mlops-assets serve), "
            "or say where it is (MLOPS_SERVE_URL)"
        ) from None
    if not answer.ok:
        raise ServiceError(f"{url} answers no requests: {told['error']['message']}")
    return f"version {told['model_version']} answers at {url}"


SERVICES: dict[str, Callable[[Project], str]] = {
    "webserver": _webserver,
    "code location": _code_location,
    "daemon": _daemon,
    "predictions": _predictions,
}
