"""What a terminal shows in the end: a program under a pseudo-terminal, and its output drawn on a screen."""

import fcntl
import os
import pty
import re
import struct
import termios

from mlops_assets_tests.warm import TRUE_PYTHON

_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


def start_in_terminal(script: str, columns: int, env: dict[str, str], *words: str) -> tuple[int, int]:
    """A Python script at a terminal of so many columns: its process, and the other end of the terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(TRUE_PYTHON, [TRUE_PYTHON, "-c", script, *words], env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    return child, terminal


def run_in_terminal(script: str, columns: int, env: dict[str, str]) -> bytes:
    """All that a Python script writes to a terminal of so many columns."""
    child, terminal = start_in_terminal(script, columns, env)
    written = b""
    try:
        while read := os.read(terminal, 65_536):
            written += read
    except OSError:  # what Linux answers where the other end is closed
        pass
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return written


def screen_of(written: bytes, columns: int) -> list[str]:
    """The lines that are left when all was written; knows the few commands by which bars are drawn."""
    lines: list[list[str]] = [[]]
    row = column = at = 0
    text = written.decode()
    while at < len(text):
        if control := _CONTROL.match(text, at):
            count = int(control[1]) if control[1].isdigit() else 1
            if control[2] == "A":
                row = max(0, row - count)
            elif control[2] == "K":
                lines[row] = [] if control[1] == "2" else lines[row][:column]
            at = control.end()
            continue
        if text[at] == "\r":
            column = 0
        elif text[at] == "\n" or column == columns:
            row, column = row + 1, 0
        if text[at] not in "\r\n\x1b":
            lines += [[] for _ in range(row + 1 - len(lines))]
            lines[row] += " " * (column + 1 - len(lines[row]))
            lines[row][column] = text[at]
            column += 1
        lines += [[] for _ in range(row + 1 - len(lines))]
        at += 1
    return ["".join(line).rstrip() for line in lines]
