"""Stands in for Python: what it is to run is run by a fork of a process that has all imported (`warm.py`).

It is as light as a start of Python can be, `-IS`, and imports nothing that is written in Python but `os`. What a fork
cannot be, such as a Python with options of its own, is the true Python.
"""

import _signal
import _socket
import marshal
import os
import sys

PYTHON, SOCKET = "", ""  # the true one, and where the other process listens: written in by whoever makes the stand-in
WORDS = sys.argv[1:]
OPTIONS = ("-u", "-B")
ONLY_AT_START = ("PYTHONHASHSEED", "PYTHONWARNINGS")  # what Python itself reads
HANDED_ON = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2)


def main() -> None:
    at = 0
    while at < len(WORDS) and WORDS[at] in OPTIONS:
        at += 1
    if WORDS[at : at + 1] not in (["-c"], ["-m"]) or any(map(os.environ.get, ONLY_AT_START)):
        os.execv(PYTHON, [PYTHON, *WORDS])
    ended = _run()
    if ended < 0:
        if -ended != _signal.SIGKILL:
            _signal.signal(-ended, _signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    os._exit(ended)


def _run() -> int:
    """Exit code of the fork, negative for a signal."""
    umask = os.umask(0)
    os.umask(umask)
    files = [number for number in map(int, os.listdir("/dev/fd")) if _is_open(number)]
    ignored = [number for number in HANDED_ON if _signal.getsignal(number) is _signal.SIG_IGN]
    env = {os.fsdecode(name): os.fsdecode(value) for name, value in os.environb.items()}
    line = _socket.socket(_socket.AF_UNIX)
    line.connect(SOCKET)
    body = marshal.dumps((sys.argv[0], os.getpid(), WORDS, env, os.getcwd(), umask, ignored, files))
    rights = b"".join(number.to_bytes(4, sys.byteorder) for number in files)
    line.sendmsg([b"%8d" % len(body)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    line.sendall(body)
    for number in HANDED_ON:  # the fork may listen to what was ignored here
        _signal.signal(number, lambda number, _: line.send(bytes([number])))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in files:  # they are the fork's now, which may close them
        os.dup2(nowhere, number) if number < 3 else os.close(number)
    told = line.recv(4)
    return int.from_bytes(told, "big", signed=True) if told else 1


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


main()
