"""The same server without a model: `/predict` answers constants, `/no-op` does nothing but FastAPI's own work.

`python -m benchmarks.noop PORT` is such a server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.cli.serve import ONE_THREAD

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mlops_assets.project import Project
    from mlops_assets.serving.predictor import Champion

TYPES = {"number": float, "integer": int, "text": str, "time": datetime}


class ConstantModel:
    """A model but for its answers."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def answer_each(self, rows: Sequence[Any]) -> list[Any]:
        from mlops_assets.core.model.answers import Answer

        return [Answer(1.0, 1.0, 1.0, [], [], [])] * len(rows)


class Settled:
    """A predictor that never looks for another champion."""

    last_check = problem = None

    def __init__(self, champion: Champion) -> None:
        self.champion = self.loaded = champion

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def hint(self) -> None:
        pass


def add_no_op(app: FastAPI, champion: Champion) -> None:
    """An endpoint of the same schema as `/predict`, as FastAPI wants them written."""
    from pydantic import create_model

    from mlops_assets.serving.schemas import Interval, OneAnswer

    inputs = {item.name: (TYPES[item.type] | None, None) for item in champion.model.signature}
    Row = create_model("Row", **inputs)
    constant = OneAnswer(
        prediction=1.0,
        interval=Interval(low=1.0, high=1.0),
        out_of_range=[],
        unseen=[],
        missing=[],
        unit=champion.unit,
        coverage=0.9,
        model=champion.card,
        request_id="0" * 32,
    )

    async def no_op(row: Any) -> OneAnswer:
        return constant

    no_op.__annotations__ = {"row": Row, "return": OneAnswer}
    app.router.add_api_route("/no-op", no_op, methods=["POST"], response_model_exclude_unset=True)
    app.router.routes.insert(0, app.router.routes.pop())  # before the form, which takes every path


def build(project: Project) -> FastAPI:
    """The server of a project's champion, without its model."""
    from mlops_assets.serving.app import build_app
    from mlops_assets.serving.predictor import load_champion

    champion = load_champion(project.registry, project.registry.champion())
    app = build_app(project, Settled(replace(champion, model=ConstantModel(champion.model))))
    add_no_op(app, champion)
    return app


def main(port: int) -> None:
    import uvicorn

    from mlops_assets.project import open_project
    from mlops_assets.serving.server import configure, listen

    uvicorn.Server(configure(build(open_project()))).run(sockets=listen("127.0.0.1", port))


if __name__ == "__main__":
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    main(int(sys.argv[1]))
