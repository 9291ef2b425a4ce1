"""Judgement of a training set: whether its splits can say what they are taken to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlops_assets.core.columns import Columns, length, row_hash
from mlops_assets.core.prepare.quality import CheckOutcome, QualityCheck
from mlops_assets.core.prepare.splitting import SPLITS, SplitName
from mlops_assets.core.types import FloatArray, TimeArray

FEWEST_ROWS = 100  # of a split: what fewer say of a model is mostly chance
_SEED = 1  # of hashes that stand for groups; that of the split has another

NO_LEAK = QualityCheck("no_leak", "No group is in two splits, and nothing held out is older than what is learnt.", True)
ROWS = QualityCheck("rows_in_each_split", "Each split has rows enough to say something.", False)
TARGETS = QualityCheck("targets_in_each_split", "Targets differ in each split, and every class is there.", False)
SPLIT_CHECKS = (NO_LEAK, ROWS, TARGETS)


@dataclass
class Sides:
    """Who is in which split, and when: added batch by batch, and as often as one likes."""

    _groups: dict[SplitName, FloatArray] = field(default_factory=dict)
    _span: dict[SplitName, tuple[np.datetime64, np.datetime64]] = field(default_factory=dict)

    def add(self, split: SplitName, groups: Columns, times: TimeArray | None) -> None:
        """Rows of a split: the columns whose values together are a group, and their times (n,)."""
        if groups and length(groups):
            known = self._groups.get(split, np.empty(0))
            self._groups[split] = np.union1d(known, row_hash(groups, _SEED))
        if times is not None and len(times):
            first, last = self._span.get(split, (times[0], times[0]))
            self._span[split] = min(first, times.min()), max(last, times.max())

    def leaks(self) -> list[str]:
        """What is in two splits, in words."""
        found = []
        for number, earlier in enumerate(SPLITS):
            for later in SPLITS[number + 1 :]:
                one, other = (self._groups.get(name, np.empty(0)) for name in (earlier, later))
                if both := int(np.isin(one, other).sum()):
                    found.append(f"{both:,} group(s) are in {earlier} and in {later}")
                if {earlier, later} <= self._span.keys() and self._span[later][0] <= self._span[earlier][1]:
                    found.append(f"{later} begins at {self._span[later][0]}, before {earlier} ends")
        return found

    @property
    def groups(self) -> int:
        """How many there are."""
        return sum(map(len, self._groups.values()))

    @property
    def divided_by(self) -> str:
        """What keeps the splits apart, in words."""
        by = [f"{self.groups:,} groups are in one split each"] if self.groups else []
        by += ["splits follow each other in time"] if self._span else []
        return " and ".join(by) or "rows are divided by a hash of their key"


def judge_splits(
    sides: Sides, targets: Mapping[SplitName, FloatArray], labels: Sequence[str] = ()
) -> list[CheckOutcome]:
    """Outcomes of SPLIT_CHECKS, in their order; `targets` (n,) of each split that is asked for, `labels` of classes."""
    leaks = sides.leaks()
    rows = {name: len(y) for name, y in targets.items()}
    few = [f"{name} has {count:,}" for name, count in rows.items() if count < FEWEST_ROWS]
    odd = list(_odd_targets(targets, labels))
    counted = ", ".join(f"{count:,} in {name}" for name, count in rows.items())
    return [
        _outcome(NO_LEAK, leaks, sides.divided_by, {"groups": sides.groups}),
        _outcome(ROWS, few, f"rows: {counted}", {f"{name}_rows": count for name, count in rows.items()}),
        _outcome(TARGETS, odd, "targets differ in each split", {}),
    ]


def _odd_targets(targets: Mapping[SplitName, FloatArray], labels: Sequence[str]) -> Iterable[str]:
    for name, y in targets.items():
        if lacking := [label for code, label in enumerate(labels) if not (y == code).any()]:
            yield f"no row of {name} is {' or '.join(lacking)}"
        elif len(y) and (y == y[0]).all():
            yield f"all targets of {name} are {y[0]:g}"


def _outcome(
    check: QualityCheck, wrong: Sequence[str], fine: str, numbers: dict[str, float | int | str]
) -> CheckOutcome:
    return CheckOutcome(check.name, not wrong, check.blocking, "; ".join(wrong) or fine, numbers)
