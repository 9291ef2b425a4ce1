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
    """What is wrong with a value; with the value where it is short, `problem` has it and the words do not name it."""
    message, value = problem["msg"].removeprefix("Value error, "), problem.get("input")
    if problem["type"] == "value_error" or not isinstance(value, str | int | float):
        return message
    return message if f"'{value}'" in message or len(str(value)) > LONGEST else f"{message}, not '{value}'"
