"""Wait until services answer: `wait_for.py [--seconds N] ADDRESS...`.

An address is `tcp://host:port`, which takes connections, `http://host:port/path`, which answers with a status below
400, or `grpc://host:port`, a Dagster code server that is ready. With `--seconds 0` each is asked once, as by a health
check. The exit code is 0, or 1 where one did not answer in time.
"""

import argparse
import socket
import sys
import time
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

ONE_TRY_SECONDS = 5
PAUSE_SECONDS = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("addresses", nargs="+")
    parser.add_argument("--seconds", type=float, default=300)
    given = parser.parse_args()
    end = time.monotonic() + given.seconds
    return 0 if all(wait_for(address, end) for address in given.addresses) else 1


def wait_for(address: str, end: float) -> bool:
    """Ask until `end` on the monotonic clock, at least once; says when waiting begins and what went wrong at last."""
    is_told = False
    while problem := ask(address):
        if time.monotonic() >= end:
            print(f"{address} does not answer: {problem}", file=sys.stderr, flush=True)
            return False
        if not is_told:
            print(f"waiting for {address}", file=sys.stderr, flush=True)
            is_told = True
        time.sleep(PAUSE_SECONDS)
    return True


def ask(address: str) -> str | None:
    """What is wrong with it, or None."""
    parts = urlsplit(address)
    try:
        match parts.scheme:
            case "tcp":
                socket.create_connection((parts.hostname, parts.port), ONE_TRY_SECONDS).close()
            case "http":
                # Services of one network are asked directly, whatever proxy the environment names.
                build_opener(ProxyHandler({})).open(address, timeout=ONE_TRY_SECONDS).close()
            case "grpc":
                return _ask_code_server(parts.netloc)
            case _:
                raise SystemExit(f"{address} is no address: write tcp://, http:// or grpc://")
    except OSError as error:
        return str(error)
    return None


def _ask_code_server(place: str) -> str | None:
    import grpc  # only here: a health check of the others starts in milliseconds
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    with grpc.insecure_channel(place) as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(service="DagsterApi"), timeout=ONE_TRY_SECONDS)
        except grpc.RpcError as error:
            return error.code().name.lower()
    return None if answer.status == HealthCheckResponse.SERVING else "not serving"


if __name__ == "__main__":
    sys.exit(main())
