"""How a wrong value from outside is told: what it must be, and what it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LONGEST = 60  # characters of a value that is shown


def spelled(pattern: str, words: str) -> AfterValidator:
    """Of a text: that all of it matches the pattern, which the words describe."""
    fits = re.compile(pattern).fullmatch

    def check(value: str) -> str:
        if not fits(value):
            raise PydanticCustomError("spelling", "must be {words}", {"words": words})
        return value

    return AfterValidator(check)


def complaint(problem: ErrorDetails) -> str:
    """What is wrong with a value; with the value where `problem` has it, it is short and the words do not name it.

    Addresses are left out: they may hold a password.
    """
    message, value = problem["msg"].removeprefix("Value error, "), problem.get("input")
    if problem["type"] == "value_error" or not isinstance(value, str | int | float):
        return message
    is_shown = f"'{value}'" not in message and len(str(value)) <= LONGEST and "://" not in str(value)
    return f"{message}, not '{value}'" if is_shown else message
