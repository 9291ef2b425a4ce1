"""How a table is written: what a file's bytes, its rows and its values look like where they are not plain.

Nothing here is guessed when rows are read: what is not said counts as plain, which is UTF-8, a comma between values,
a point before decimals, and times as ISO 8601 has them.
"""

import codecs
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mlops_assets.dataset.part import Part

TRUE_WORDS = ("true", "yes", "y", "t", "on", "1")
FALSE_WORDS = ("false", "no", "n", "f", "off", "0")
Decimal = Literal[".", ","]
TimeUnit = Literal["s", "ms", "us", "ns"]


def _as_text(value: object) -> object:
    """YAML reads -200 as a number, and no as false: the first is meant, the second needs quotes."""
    if isinstance(value, bool):
        raise ValueError(f"write {str(value).lower()} in quotes, as the file has it")
    return f"{value:.15g}" if isinstance(value, int | float) else value


Mark = Annotated[str, BeforeValidator(_as_text)]


class Dialect(Part):
    """How a file is written, where it is not plain; every key is of CSV files but where it says otherwise."""

    delimiter: str = Field(",", min_length=1, max_length=1, description="Between two values.")
    encoding: str = Field("utf-8", description="Such as `latin-1`, `cp1252` or `utf-16`.")
    quote: str = Field('"', max_length=1, description="Around a text that holds a delimiter; empty for none.")
    escape: str | None = Field(None, max_length=1, description="Before a quote in a text, where it is not doubled.")
    decimal: Decimal = Field(".", description="Before the decimals of a number, in texts of any format.")
    thousands: str | None = Field(None, max_length=1, description="Between thousands, in texts of any format.")
    skip_rows: int = Field(0, ge=0, description="Lines above the header, Excel too.")
    comment: str | None = Field(None, min_length=1, description="Lines that begin so are left out.")
    header: tuple[str, ...] = Field((), description="Names of the columns of a file that has no line of them.")
    missing: tuple[Mark, ...] = Field((), description="Further values that mean none, in every format: `[?, -200]`.")
    ragged: Literal["refuse", "drop"] = Field("refuse", description="Rows with too few or too many values.")
    sheet: str | None = Field(None, description="Name of the sheet of an Excel file; needed where it has several.")

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"'{encoding}' is no encoding (expected one such as latin-1)") from None
        return encoding

    @model_validator(mode="after")
    def _differ(self) -> "Dialect":
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both '{self.decimal}'")
        if self.quote == self.delimiter:
            raise ValueError(f"quote and delimiter are both '{self.quote}'")
        return self


def _as_flag(document: Any) -> Any:
    """A column of type boolean is one of whole numbers, 0 and 1, with the words for them."""
    if isinstance(document, dict) and document.get("type") == "boolean":
        words = {"true_words": TRUE_WORDS, "false_words": FALSE_WORDS}
        return words | document | {"type": "integer"}
    return document


class Column(Part):
    """One column of the source under the alias that everything after ingest uses."""

    source_name: str | tuple[str, ...] | None = Field(
        None, alias="from", description="Real name; the alias where left out. Several are joined by a space: a time."
    )
    description: str = Field("", description="What it means, for people.")
    type: Literal["integer", "number", "text", "time", "boolean"] = Field(
        "number", description="Type after ingest; a `boolean` is 0 or 1."
    )
    timezone: str | None = Field(None, description="Zone whose wall clock a time with an offset is turned into.")
    missing: Literal["refuse", "allow"] = Field(
        "refuse",
        description="What becomes of a row to predict that lacks it, where training rows had it always: `refuse` it, "
        "or `allow` it, with a flag and without an interval.",
    )
    missing_values: tuple[Mark, ...] = Field((), description="Values that mean none here, beside `source.missing`.")
    format: str | None = Field(None, description="How a time is written, as `strptime` has it: `%d/%m/%Y %H:%M`.")
    unit: str | None = Field(None, description="Of a number, for people. Of a time: s, ms, us or ns since 1970.")
    decimal: Decimal | None = Field(None, description="In place of `source.decimal`.")
    thousands: str | None = Field(None, max_length=1, description="In place of `source.thousands`; empty for none.")
    strip: tuple[str, ...] = Field((), description="Taken off the beginning and the end of a value: `[$, ' %']`.")
    true_words: tuple[Mark, ...] = Field((), description="What a boolean writes for 1; without it yes, true, t, on, 1.")
    false_words: tuple[Mark, ...] = Field((), description="What it writes for 0; without it no, false, f, off, 0.")

    _words = model_validator(mode="before")(_as_flag)

    @field_validator("missing", mode="before")
    @classmethod
    def _not_a_list(cls, missing: Any) -> Any:
        if isinstance(missing, list):
            raise ValueError("is refuse or allow; values that mean none are missing_values")
        return missing

    @field_validator("format")
    @classmethod
    def _tells_a_year(cls, form: str | None) -> str | None:
        """A month or a year alone is its first day."""
        if form is not None:
            try:
                day = datetime(2024, 11, 28, 13, 45, tzinfo=UTC)
                if datetime.strptime(day.strftime(form), form).year != day.year:
                    raise ValueError
            except ValueError:
                raise ValueError(f"'{form}' is no format that tells a day (expected one such as %d/%m/%Y)") from None
        return form

    @property
    def measured_in(self) -> str:
        """The unit of its numbers, for people; a time has none."""
        return "" if self.type == "time" else self.unit or ""

    @property
    def is_plain(self) -> bool:
        """Whether a text of it is read as it stands, and so by any reader of its type."""
        return not (self.strip or self.true_words or self.thousands or self.decimal == ",")

    def as_callers_write(self) -> "Column":
        """The same column in rows to predict, which are plain: only the words of a boolean stay."""
        unit = None if self.type == "time" else self.unit
        plain = {"missing_values": (), "format": None, "unit": unit, "decimal": None, "thousands": None, "strip": ()}
        return self.model_copy(update=plain)

    def written_in(self, dialect: "Dialect") -> "Column":
        """The same column with what the dialect says of all columns, where the column itself does not."""
        thousands = dialect.thousands if self.thousands is None else self.thousands
        return self.model_copy(
            update={
                "decimal": self.decimal or dialect.decimal,
                "thousands": None if thousands == (self.decimal or dialect.decimal) else thousands or None,
                "missing_values": (*dialect.missing, *self.missing_values),
            }
        )
