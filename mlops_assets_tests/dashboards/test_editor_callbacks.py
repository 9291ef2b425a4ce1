"""Editors' checks keep to their share of the processor, however many ask at once."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, thread_time

from mlops_assets.dashboards.editor_callbacks import LEAST_PAUSE, Pace


def work(seconds):
    """Spend processor time, and give how much it was."""
    began = thread_time()
    while thread_time() - began < seconds:
        pass
    return thread_time() - began


def test_many_editors_together_take_no_more_than_their_share():
    pace, began = Pace(share=0.25), monotonic()

    def check(_):
        with pace.turn():
            return work(0.02)

    with ThreadPoolExecutor(8) as editors:
        spent = list(editors.map(check, range(8)))
    assert sum(spent[1:]) <= 0.26 * (monotonic() - began)


def test_a_first_check_waits_for_nothing_and_a_failed_one_counts():
    pace, began = Pace(), monotonic()
    try:
        with pace.turn():
            assert monotonic() - began < LEAST_PAUSE
            raise ValueError
    except ValueError:
        failed = monotonic()
    with pace.turn():
        assert monotonic() - failed >= 0.9 * LEAST_PAUSE
