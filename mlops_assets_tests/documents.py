"""The documentation as tests read it: pages, fenced blocks, commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A documented command: the program without its folder, its words, and the variables set before it."""

    page: str
    program: str
    words: tuple[str, ...]
    variables: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page}: {self.program} {' '.join(self.words)}"

    def after(self, *options: str) -> str | None:
        """The word that follows one of these options."""
        found = [self.words[place + 1] for place, word in enumerate(self.words) if word in options]
        return found[0] if found else None


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [body for found, body in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def links(text: str) -> list[str]:
    """Where a page's links lead, those in fenced blocks apart."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """Links of a page to files that do not exist, or to headings that these do not have."""
    return [link for link in links(page.read_text(encoding="utf-8")) if not _leads_somewhere(page, link)]


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("http://", "https://")):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target.read_text(encoding="utf-8")))


def commands() -> list[Command]:
    """Every command of every `sh` block, those of a pipe one by one."""
    lines = [(page.name, line) for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return [command for name, line in lines for command in _commands(name, line)]


def _commands(page: str, line: str) -> Iterator[Command]:
    tokens = shlex.shlex(line, posix=True, punctuation_chars="|")
    tokens.whitespace_split = True
    words = list(tokens)
    while words:
        end = words.index("|") if "|" in words else len(words)
        part, words = words[:end], words[end + 1 :]
        count = next((place for place, word in enumerate(part) if not re.match(r"[A-Z_]+=", word)), len(part))
        variables = dict(word.split("=", 1) for word in part[:count])
        yield Command(page, Path(part[count]).name, tuple(part[count + 1 :]), variables)


@cache
def own_data_example(name: str) -> str:
    """The YAML in own-data.md of the dataset of this name."""
    texts = blocks(ROOT / "docs" / "own-data.md", "yaml")
    return next(text for text in texts if yaml.safe_load(text)["name"] == name)
