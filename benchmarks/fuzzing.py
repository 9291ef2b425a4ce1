"""Send bodies that nobody would send to a server of the embedded default, and say what came of it.

    python -m benchmarks.fuzzing [--count 10000] [--seed 1] [--home FOLDER]

The server runs with an API key, and its log is searched for it. Without `--home` the pipeline is run first.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.homes import Home
from benchmarks.measuring import ROOT, UNSET
from benchmarks.servers import free_port, wait_for
from mlops_assets_tests.serving.odd_bodies import odd_body

KEY = "a-key-that-no-log-shall-hold"
PATHS = ("/predict", "/predict", "/predict?explain=true", "/predict/batch")
COMMAND = (sys.executable, "-c", "from mlops_assets.cli import main; main()", "serve", "--port")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzzing", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="a home folder with a champion of nyc_flights")
    options = parser.parse_args()
    if options.home:
        fuzz({"MLOPS_HOME": str(options.home)}, options.count, options.seed)
        return
    with Home.fresh() as home:
        home.run()
        fuzz(home.env, options.count, options.seed)


def fuzz(env: dict[str, str], count: int, seed: int) -> None:
    """Print how many bodies got which status; exits with 1 where a body was answered by a failure, or a key logged."""
    port = free_port()
    everything = os.environ | UNSET | {"PYTHONPATH": str(ROOT)} | env | {"MLOPS_API_KEYS": KEY}
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen([*COMMAND, str(port)], env=everything, cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/ready", server)
            statuses, unclear = _send(port, count, random.Random(seed))
            alive = server.poll() is None
        finally:
            server.terminate()
            server.wait(60)
        log.seek(0)
        told = KEY in log.read()
    print(f"{count:,} bodies: " + ", ".join(f"{status}: {number:,}" for status, number in sorted(statuses.items())))
    print(f"without a clear reason: {unclear}; the key is in the log: {told}; the process lives: {alive}")
    sys.exit(any(status >= 500 for status in statuses) or bool(unclear) or told or not alive)


def _send(port: int, count: int, rng: random.Random) -> tuple[Counter, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", "X-API-Key": KEY}
    connection.request("GET", "/model", headers=headers)
    inputs = [item["name"] for item in json.load(connection.getresponse())["signature"]]
    statuses: Counter[int] = Counter()
    unclear = 0
    for _ in range(count):
        connection.request("POST", rng.choice(PATHS), odd_body(rng, inputs), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        statuses[answer.status] += 1
        unclear += answer.status != 200 and not body["error"]["message"]
    return statuses, unclear


if __name__ == "__main__":
    main()
