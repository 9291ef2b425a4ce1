"""The application: every part of serving is wired here, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from mlops_assets.dashboards.mount import mount
from mlops_assets.dashboards.sources.serving import Sampler
from mlops_assets.dashboards.theme import DASHBOARDS
from mlops_assets.errors import MlopsError
from mlops_assets.project import Project
from mlops_assets.serving.answer_log import AnswersLog
from mlops_assets.serving.batch import PATH as BATCH
from mlops_assets.serving.batch import PredictBatch
from mlops_assets.serving.docs_page import mount_docs
from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.form import mount_form
from mlops_assets.serving.hosts import OwnHosts
from mlops_assets.serving.keys import read_keys
from mlops_assets.serving.limits import Bodies, RateLimit
from mlops_assets.serving.log_process import LogProcess
from mlops_assets.serving.metrics import Metrics, PipelineMetrics
from mlops_assets.serving.middleware import RequestMiddleware
from mlops_assets.serving.openapi import describe
from mlops_assets.serving.predict import PATH as PREDICT
from mlops_assets.serving.predict import Batcher, Predict
from mlops_assets.serving.predictor import Predictor
from mlops_assets.serving.runs import router as runs_router
from mlops_assets.serving.status import REFRESH, WebhookSecret, build_router

if TYPE_CHECKING:
    from dash import Dash

API_VERSION = "1"
FLUSH_SECONDS = 10.0  # at the end, for what is not yet in the prediction log
OpenDashboards = Callable[[Sampler], "Dash"]


class Api(FastAPI):
    """FastAPI whose OpenAPI document is made by `describe` when it is asked for: another champion has other inputs."""

    def __init__(self, describe: Callable[[FastAPI], dict[str, Any]], **settings: Any) -> None:
        super().__init__(**settings)
        self._describe = describe

    def openapi(self) -> dict[str, Any]:
        return self._describe(self)


def build_app(
    project: Project,
    predictor: Predictor | None = None,
    metrics: Metrics | None = None,
    open_dashboards: OpenDashboards | None = None,
    pipeline: PipelineMetrics | None = None,
    hint: Callable[[], None] | None = None,
) -> FastAPI:
    """The server's application; raises SettingsError where keys cannot be read.

    `predictor`: another one than that of the project's registry, together with the `metrics` that it writes to.
    `open_dashboards`: gives what is shown at /dashboards/. It is called when somebody first looks there, since it takes
    as long as the start of the server, and half as much memory again.
    `pipeline`: what `/metrics`, and a form without a champion, tell of Dagster, if anything.
    `hint`: passes a hint about a new champion on to more than this process.
    """
    settings = project.settings
    keys = read_keys(settings)
    metrics = metrics or Metrics()
    predictor = predictor or Predictor(project.registry, settings.model_poll_seconds, metrics, project.spec.redact)
    answers_log = AnswersLog(LogProcess(project), settings.log_days, metrics)
    bodies = Bodies(int(settings.serve_body_mb * 1e6), settings.serve_timeout)
    width = settings.thread_count
    sampler = Sampler(metrics.text)
    workers = ThreadPoolExecutor(width, thread_name_prefix="rows")
    secret = WebhookSecret(settings.webhook_secret.get_secret_value()) if settings.webhook_secret else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        predictor.start()
        answers_log.start()
        sampler.start()
        yield
        sampler.stop()
        predictor.stop()
        workers.shutdown(wait=True, cancel_futures=True)
        if pipeline:
            pipeline.close()
        answers_log.close(FLUSH_SECONDS)

    app = Api(
        lambda api: describe(api, predictor.loaded, bool(keys)),
        title=f"Predictions of {project.spec.name}",
        description="Answers of the champion, from memory.",
        version=API_VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # these pages load their scripts from the internet
        redoc_url=None,
    )
    predict = Predict(
        predictor=predictor,
        bodies=bodies,
        batcher=Batcher(metrics.batch_rows.observe),
        answers_log=answers_log,
        metrics=metrics,
        workers=workers,
        most_rows=settings.serve_list_rows,
        seconds=settings.serve_timeout,
    )
    predict_batch = PredictBatch(
        predictor=predictor,
        bodies=bodies,
        metrics=metrics,
        workers=workers,
        width=width,
        most_rows=settings.serve_batch_rows,
        seconds=settings.serve_timeout,
    )
    posts: dict[str, ASGIApp] = {PREDICT: predict, BATCH: predict_batch}
    app.router.routes[:0] = [Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()]
    app.include_router(build_router(predictor, bodies, metrics, secret, pipeline, hint or predictor.hint))
    app.include_router(runs_router)
    mount_form(app, project, predict, bool(keys), pipeline.at_work if pipeline else lambda: None)
    mount_docs(app, predictor, bool(keys))
    if open_dashboards:
        mount(app, lambda: _opened(open_dashboards, sampler, project.spec.redact), DASHBOARDS)
    app.add_middleware(
        RequestMiddleware,
        keys=keys,
        hosts=OwnHosts.of(settings),
        rate=RateLimit(settings.serve_rate),
        bodies=bodies,
        metrics=metrics,
        redact=project.spec.redact,
        posts=posts,
        signed=frozenset({REFRESH} if secret else ()),
    )
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _leave_to_middleware)
    app.state.keys, app.state.predict, app.state.project = keys, predict, project
    return app


def _opened(open_dashboards: OpenDashboards, sampler: Sampler, redact: Callable[[str], str]) -> Dash:
    try:
        return open_dashboards(sampler)
    except MlopsError as error:
        raise ApiError(503, "no_dashboards", f"dashboards cannot be opened: {redact(str(error))}") from None


async def _leave_to_middleware(request: Request, error: Exception) -> NoReturn:
    """An error is answered in one shape, and there."""
    raise error
