"""A short document of headings, paragraphs, lists, tables and pictures, as Markdown and as one HTML page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; line-height: 1.5; max-width: 60em; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ border-bottom: 1px solid #8886; padding: .25em .8em .25em 0; text-align: left; vertical-align: top }}
pre {{ border: 1px solid #8886; border-radius: 4px; padding: .6em; overflow-x: auto }}
img {{ max-width: 100% }}
</style></head>
<body>
{body}
</body></html>
"""


@dataclass(frozen=True)
class Paragraph:
    """Plain text; nothing in it is markup."""

    text: str

    def markdown(self) -> str:
        return _plain(self.text)

    def html(self) -> str:
        return f"<p>{escape(self.text)}</p>"


@dataclass(frozen=True)
class Points:
    """A list of plain texts."""

    texts: tuple[str, ...]

    def markdown(self) -> str:
        return "\n".join(f"- {_plain(text)}" for text in self.texts)

    def html(self) -> str:
        return "<ul>\n" + "\n".join(f"<li>{escape(text)}</li>" for text in self.texts) + "\n</ul>"


@dataclass(frozen=True)
class Code:
    """Commands or values to copy."""

    text: str

    def markdown(self) -> str:
        return f"```\n{self.text}\n```"

    def html(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header, all of the same width."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(_plain(cell).replace("|", "/") for cell in line) + " |" for line in lines)

    def html(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.header)
        rows = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"


@dataclass(frozen=True)
class Picture:
    """An SVG, carried inside the document."""

    svg: bytes
    alt: str

    @property
    def _source(self) -> str:
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"

    def markdown(self) -> str:
        return f"![{self.alt}]({self._source})"

    def html(self) -> str:
        return f'<p><img alt="{escape(self.alt)}" src="{self._source}"></p>'


Block = Paragraph | Points | Code | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A title, a sentence about all of it, and its sections."""

    title: str
    summary: str
    sections: tuple[Section, ...]

    def markdown(self) -> str:
        parts = [f"# {_plain(self.title)}", _plain(self.summary)]
        for section in self.sections:
            parts += [f"## {section.title}", *(block.markdown() for block in section.blocks)]
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """One page without a script, a font or a request of its own, for light and dark screens."""
        parts = [f"<h1>{escape(self.title)}</h1>", f"<p>{escape(self.summary)}</p>"]
        for section in self.sections:
            parts += [f"<h2>{escape(section.title)}</h2>", *(block.html() for block in section.blocks)]
        return _PAGE.format(title=escape(self.title), body="\n".join(parts))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table of anything; None is an empty cell."""
    cells = tuple(tuple("" if cell is None else str(cell) for cell in row) for row in rows)
    return Table(tuple(header), cells)


def _plain(text: str) -> str:
    """Text in which Markdown finds no markup of its own, on one line."""
    for mark in "\\`*<>":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
