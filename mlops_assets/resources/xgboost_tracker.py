"""Where the workers of one XGBoost fit find each other: a tracker in the process of Dask's scheduler."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Scheduler
    from xgboost.tracker import RabitTracker

MEETING_SECONDS = 300  # a worker whose partners never come is free again after them
_trackers: "dict[int, RabitTracker]" = {}  # of the scheduler's process, by port


def start_tracker(workers: int, dask_scheduler: "Scheduler") -> dict[str, Any]:
    """What so many workers need to find each other; names the port of the tracker."""
    from distributed.comm import get_address_host
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    host = get_address_host(dask_scheduler.address)
    tracker = RabitTracker(workers, host, sortby="task", timeout=MEETING_SECONDS)
    tracker.start()

    def attend() -> None:
        with suppress(XGBoostError):  # a worker was lost: who sent the calls sees that
            tracker.wait_for()

    threading.Thread(target=attend, daemon=True).start()
    link = tracker.worker_args()
    _trackers[link["dmlc_tracker_port"]] = tracker
    return link


def end_tracker(link: Mapping[str, Any]) -> None:
    """Have no tracker for them any more; it may take a while where one was lost, and the scheduler must not wait."""
    from xgboost.core import XGBoostError

    tracker = _trackers.pop(link["dmlc_tracker_port"])

    def free() -> None:
        with suppress(XGBoostError):
            tracker.free()

    threading.Thread(target=free, daemon=True).start()
