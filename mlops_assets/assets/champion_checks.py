"""Checks of the champion: whether it can answer, and whether it is worth asking."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlops_assets.core.prepare.quality import CheckOutcome, QualityCheck
from mlops_assets.errors import ModelError
from mlops_assets.project import Project

ANSWERS = QualityCheck("answers_as_trained", "It is signed where it has to be, and answers its golden rows.", True)
BEATS = QualityCheck("better_than_baselines", "It errs less than what one would say without a model.", False)
CHAMPION_CHECKS = (ANSWERS, BEATS)


def judge_champion(project: Project, facts: Mapping[str, Any]) -> list[CheckOutcome]:
    """Outcomes of CHAMPION_CHECKS, in their order; `facts` are those of `champion_model`. The model is loaded."""
    number = facts["champion_version"]
    if not number:
        return [
            CheckOutcome(check.name, True, False, "not judged: there is no champion", {}) for check in CHAMPION_CHECKS
        ]
    return [_answers(project, number), _beats(project, facts)]


def _answers(project: Project, number: int) -> CheckOutcome:
    began = time.monotonic()
    try:
        model = project.registry.load(number)
        model.self_check()
    except ModelError as error:
        return CheckOutcome(ANSWERS.name, False, True, f"version {number}: {error}", {"version": number})
    rows = len(model.golden.rows) if model.golden else 0
    signed = "its signature is right" if project.registry.verify_keys else "no signature is asked for"
    said = f"version {number} answers its {rows:,} golden rows as in training; {signed}"
    seconds = round(time.monotonic() - began, 2)
    return CheckOutcome(ANSWERS.name, True, True, said, {"version": number, "golden_rows": rows, "seconds": seconds})


def _beats(project: Project, facts: Mapping[str, Any]) -> CheckOutcome:
    """By the newest contest: the champion's loss, that of its candidate where it has just won, and the baselines'."""
    rows, metric = facts.get("leaderboard_rows", ()), project.target.metric
    losses = {role: [row["loss"] for row in rows if row["role"] == role] for role in ("champion", "baseline")}
    decided = facts["decision"]
    won = [row["loss"] for row in rows if row["model"] == facts["champion_type"] and row["role"] == "candidate"]
    own = {"promoted": won, "rolled back": [], "approved": []}.get(decided, losses["champion"])
    if not own or not losses["baseline"]:
        return CheckOutcome(BEATS.name, True, False, "not judged: it took no part in the newest contest", {})
    loss, best = own[0], min(losses["baseline"])
    said = f"{metric.heading(project.target.unit)} {loss:.4g}, and {best:.4g} without a model"
    return CheckOutcome(BEATS.name, loss < best, False, said, {"loss": loss, "baseline_loss": best})
