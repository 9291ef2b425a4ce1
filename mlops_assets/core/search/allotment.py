"""How a budget of CPU is spread over searches by what they promise: successive halving.

Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", 2013; Jamieson and Talwalkar,
"Non-stochastic best arm identification and hyperparameter optimization", 2016. An arm is the search of a model type,
its reward the lowest loss that it has come to, and what is halved are the arms: each rung has an equal share of the
budget, which the arms of that rung divide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from mlops_assets.errors import ClusterUnreachable, ModelError, SettingsError, TuningError


class Contender(Protocol):
    """A search that goes on as far as it is told to, as `tuning.Search` does."""

    @property
    def ended(self) -> bool: ...

    @property
    def cpu_seconds(self) -> float: ...

    @property
    def lowest_loss(self) -> float: ...

    def go_on(self, cpu_seconds: float) -> None: ...


def spread(contenders: Mapping[str, Contender], cpu_seconds: float) -> dict[str, str]:
    """Let searches go on until they have taken so many CPU seconds together, or all have ended.

    Each has its first trial, whatever that costs; beyond these, the trial that is under way at the end is all that is
    above the budget. What a search that has ended leaves goes to the others. Decides by losses and CPU seconds alone:
    with those of recorded trials it does again what it did. Gives the reasons of those that failed, by name.
    """
    failed: dict[str, str] = {}
    rungs = math.ceil(math.log2(len(contenders))) + 1
    rung = 0
    while True:
        left = cpu_seconds - sum(search.cpu_seconds for search in contenders.values())
        open_ones = [name for name, search in contenders.items() if name not in failed and not search.ended]
        if not open_ones or (rung and left <= 0):
            return failed
        ranked = sorted(open_ones, key=lambda name: contenders[name].lowest_loss)
        standing = ranked[: math.ceil(len(contenders) / 2**rung)]
        share = left / max(1, rungs - rung) / len(standing)
        for name in standing:
            used = sum(search.cpu_seconds for search in contenders.values())
            try:
                contenders[name].go_on(contenders[name].cpu_seconds + min(share, cpu_seconds - used))
            except ClusterUnreachable:
                raise
            except (ModelError, SettingsError, TuningError) as error:
                failed[name] = str(error)
        rung += 1
