"""Bugs to plant into the decisions, in memory, each by a change of a few words of the real code."""

from __future__ import annotations
import __future__ as future

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any
from unittest.mock import patch


@dataclass(frozen=True)
class Bug:
    """`place`: a module, a colon, and a function or a method in it, whose words `old` become `new`."""

    what: str
    place: str
    old: str
    new: str

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Raises LookupError where the code has no such words any more."""
        module_name, _, path = self.place.partition(":")
        module = importlib.import_module(f"mlops_assets.{module_name}")
        *owners, name = path.split(".")
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, name)
        if not callable(original) and not isinstance(original, property):
            with patch.object(owner, name, eval(self.new, vars(module))):
                yield
            return
        function = original.fget if isinstance(original, property) else original
        source = textwrap.dedent(inspect.getsource(function))
        if self.old not in source:
            raise LookupError(f"{self.place} has no '{self.old}' any more")
        scope: dict[str, object] = {}
        flags = future.annotations.compiler_flag
        exec(compile(source.replace(self.old, self.new, 1), self.place, "exec", flags, dont_inherit=True), scope)
        changed = scope[name]
        inner = changed.fget if isinstance(changed, property) else changed
        again = FunctionType(inner.__code__, vars(module), name, function.__defaults__, function.__closure__)
        again.__kwdefaults__ = function.__kwdefaults__
        with patch.object(owner, name, property(again) if isinstance(changed, property) else again):
            yield


RETRAINING, JOB, TRIGGERS = "automation.retraining", "automation.retrain_job", "automation.triggers"
BUGS = (
    Bug("a task is tried four times", f"{RETRAINING}:ATTEMPTS", "3", "ATTEMPTS + 1"),
    Bug("a task is tried twice only", f"{RETRAINING}:ATTEMPTS", "3", "ATTEMPTS - 1"),
    Bug(
        "a task at work holds back nothing below it",
        f"{RETRAINING}:_outlook",
        "running.append(task.name)\n                unsettled[asset].append(task)",
        "running.append(task.name)",
    ),
    Bug(
        "a task that waits holds back nothing below it",
        f"{RETRAINING}:_outlook",
        "for parent in above):\n                unsettled[asset].append(task)",
        "for parent in above):\n                pass",
    ),
    Bug("finished while parts are at work", f"{RETRAINING}:Outlook.finished", "not self.running", "True"),
    Bug("a run of many periods counts for the first alone", "assets.plan:Task.is_in", "(last or first)", "first"),
    Bug("a queued run counts as ended", f"{RETRAINING}:ACTIVE", "", "ACTIVE[1:]"),
    Bug("parts of all retrainings count", f"{RETRAINING}:outlook_of", "tags={RETRAINING: retraining}", ""),
    Bug(
        "parts that a canceled retraining left are not seen", f"{RETRAINING}:at_work", "if TASK in run.tags", "if False"
    ),
    Bug("the source is asked once for ever", f"{RETRAINING}:AskedSource.versions", "!= retraining", "is None"),
    Bug("a retry has the run key of the first try", f"{RETRAINING}:_request", "/{attempt}", ""),
    Bug(
        "what a task can do without is not heeded",
        f"{RETRAINING}:_outlook",
        "not entry.goes_on_without_parents",
        "True",
    ),
    Bug("what is made once is made again", f"{RETRAINING}:_outlook", "entry.once_in_a_retraining and", "False and"),
    Bug(
        "a source that is away is waited for without end",
        f"{RETRAINING}:AskedSource.is_given_up",
        "return not",
        "return False and",
    ),
    Bug(
        "a stopped sensor is waited for without end",
        "automation.retrain_job:_Launching.check",
        ">= STOPPED_SECONDS",
        "< 0",
    ),
    Bug(
        "partitions feed one another alone",
        "assets.plan:Plan.feeds",
        "None in (parent.partition, task.partition) or",
        "",
    ),
    Bug(
        "every partition feeds every other",
        "assets.plan:Plan.feeds",
        "or parent.partition ==",
        "or parent.partition !=",
    ),
    Bug(
        "a period that is scored again is measured again",
        "assets.plan:Plan.explain",
        "if parent not in entry.unmoved_by",
        "",
    ),
    Bug("a file that is gone is not missed", "assets.memo:why_stale", "if record.path and not", "if False and not"),
    Bug(
        "the last good file is removed too early", "assets.memo:Making.done", "keep = {made.path} |", "keep = set() and"
    ),
    Bug("a killed promotion is forgotten", "assets.champion_model:_was_cut_off", "return", "return False and"),
    Bug(
        "a version of a killed run is made again",
        "resources.mlflow.registry:Registry.made_from",
        "max(",
        "None and max(",
    ),
    Bug(
        "a failed retraining is not repeated",
        f"{TRIGGERS}:again_where_unfinished",
        "DagsterRunStatus.FAILURE",
        "DagsterRunStatus.QUEUED",
    ),
    Bug(
        "a period given up is not tried again", f"{TRIGGERS}:again_where_unfinished", "periods_lost(newest[0])", "False"
    ),
    Bug("a cause is tried once", f"{TRIGGERS}:request_for", "/{len(tried)}", ""),
    Bug("a clock that was set back is waited for", f"{TRIGGERS}:request_for", "tried_at <= now < due", "now < due"),
    Bug(
        "a changed period is not seen", f"{TRIGGERS}:with_new_data", "if task.stale", 'if "never made" in task.reasons'
    ),
    Bug("whoever holds a mail is not heeded", "alerts.outbox:LEASE", "", "timedelta(0)"),
    Bug(
        "a mail that may have been sent is sent anew",
        "alerts.outbox:Outbox.keep",
        "replace(mail, uncertain=True)",
        "mail",
    ),
    Bug("a mail is not noted as sent", "alerts.outbox:Outbox.mark_sent", '"state": SENT', '"state": WAITING'),
    Bug("an alert may be kept twice", "alerts.outbox:Outbox.add", '"key": alert.key', '"key": alert.key + str(now)'),
    Bug(
        "young events are not left for later",
        "alerts.sensor:Collector.collect",
        "seen[kind.value] = record.storage_id",
        "seen[kind.value] = record.storage_id + 9",
    ),
)
