"""Editors' checks keep to their share of the processor, however many ask at once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, thread_time

from mlops_assets.dashboards import editor
from mlops_assets.dashboards.editor import LEAST_PAUSE, Pace


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


def test_a_first_check_waits_for_nothing_and_the_next_one_for_a_failed_one(monkeypatch):
    pace, waits = Pace(), []
    monkeypatch.setattr(editor, "sleep", waits.append)
    monkeypatch.setattr(editor, "monotonic", lambda: 100.0)
    with suppress(ValueError), pace.turn():
        raise ValueError
    with pace.turn():
        pass
    first, second = waits
    assert first == 0
    assert second >= 0.99 * LEAST_PAUSE
