"""Two hosts on this machine: network namespaces that are joined by a cable and have nothing else in common."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NETWORK = "192.0.2"  # of documentation: no route leads there


@dataclass(frozen=True)
class Host:
    """A namespace and its address; of the folders in `hidden` it sees nothing, as they are another machine's disk."""

    namespace: str
    address: str
    hidden: tuple[Path, ...] = ()

    def start(self, command: Sequence[str], log: Path, **env: str) -> subprocess.Popen:
        """A process of this host."""
        mounts = "".join(f"mount -t tmpfs none '{folder}' && " for folder in self.hidden)
        inside = ["unshare", "--mount", "sh", "-c", f'{mounts}cd / && exec "$@"', "sh", *command]
        with log.open("wb") as file:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *inside], env=os.environ | env, stdout=file, stderr=file
            )


@contextmanager
def two_hosts(hidden_from_the_second: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other; taken down at the end. Skips where this user may not make them."""
    one, two = (f"mlops-{os.getpid()}-{number}" for number in (1, 2))
    try:
        for namespace in (one, two):
            _ip("netns", "add", namespace)
        _ip("link", "add", "cable", "netns", one, "type", "veth", "peer", "name", "cable", "netns", two)
        for number, namespace in enumerate((one, two), start=1):
            _ip("-n", namespace, "address", "add", f"{NETWORK}.{number}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", namespace, "link", "set", device, "up")
        yield Host(one, f"{NETWORK}.1"), Host(two, f"{NETWORK}.2", (hidden_from_the_second,))
    finally:
        for namespace in (one, two):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)


def _ip(*words: str) -> None:
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no program ip (Debian: iproute2)")
    if done.returncode:
        pytest.skip(f"network namespaces cannot be made here: {done.stderr.strip()}")
