"""How failures are handled: what may pass is tried again, and no error carries a hidden name."""

import random
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from mlops_assets.errors import MlopsError, SourceError, SourceUnreachable

T = TypeVar("T")
P = ParamSpec("P")
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0


class Temporary(Exception):
    """An attempt failed in a way that may pass. `after`: seconds that the server asks to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


@dataclass(frozen=True)
class Retry:
    """Tries again, with waits that double; random so that many clients do not return together."""

    retries: int
    wait: Callable[[float], None] = time.sleep

    def call(self, attempt: Callable[[], T], what: str, advice: str) -> T:
        """The result of `attempt`. Raises SourceUnreachable after the last Temporary failure."""
        for number in range(self.retries + 1):
            try:
                return attempt()
            except Temporary as failure:
                reason, after = failure.reason, failure.after
            if number < self.retries:
                backoff = FIRST_WAIT * 2**number * random.uniform(0.5, 1.5)
                self.wait(min(max(backoff, after), LONGEST_WAIT))
        raise SourceUnreachable(f"{what} {reason} (tries: {self.retries + 1}): {advice}")


def without_chain(function: Callable[P, T]) -> Callable[P, T]:
    """Raise the function's errors without the errors behind them.

    The texts of drivers and parsers hold URLs, table names and real column names, and whatever prints an
    error prints its chain too. An error that nobody foresaw keeps its traceback and loses its text.
    """

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> T:
        failure: MlopsError
        try:
            return function(*args, **options)
        except MlopsError as error:
            failure = error
        except Exception as error:
            failure = SourceError(f"reading the source failed with an unforeseen {type(error).__name__}")
            failure.with_traceback(error.__traceback__)
        failure.__cause__ = failure.__context__ = None
        raise failure

    return call


def stepwise_without_chain(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """The same items, each of which is got as by a function that is decorated so."""
    step = without_chain(lambda: next(items, None))
    with closing(items):
        while (item := step()) is not None:
            yield item
