"""Property tests: Hypothesis draws the same examples each time, takes the time it needs, and writes nothing down."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DRAWN = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
# What JSON can hold.
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def for_all(examples: int = 100, **strategies: st.SearchStrategy) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a test with so many examples of its arguments; the others are fixtures."""
    return lambda test: settings(DRAWN, max_examples=examples)(given(**strategies)(test))
