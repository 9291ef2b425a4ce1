"""Bodies that nobody would send: JSON with odd names and values, sometimes with its bytes damaged."""

import random
from collections.abc import Sequence

import orjson

ODD = (
    *(None, True, False, 0, -0.0, 1e308, -1e308, 5e-324, 2**63, -(2**63), 1.5),
    *("", " ", "NaN", "Infinity", "-inf", "1_000", "١٢٣", "0x10", "1e5", "3.0", "\x00", "\u2028"),
    *("🙂" * 50, "x" * 5_000, "'; DROP TABLE prediction_log; --", "{{7*7}}", "${HOME}", "../../etc/passwd"),
    *("2024-13-45", "2024-01-01T00:00:00+99:99", "9999-12-31T23:59:59Z", "0001-01-01"),
    *([], {}, [1], {"a": 1}, [[[]]]),
)
NAMES = ("", "__class__", "constructor", "Size", "price", "\x00", "zone\n", "🙂")


def odd_body(rng: random.Random, inputs: Sequence[str]) -> bytes:
    """A body for a model with these inputs."""

    def name() -> str:
        return rng.choice(inputs if rng.random() < 0.7 else NAMES)

    rows = [{name(): rng.choice(ODD) for _ in range(rng.randrange(4))} for _ in range(rng.choice([1, 1, 1, 2, 3, 80]))]
    columns = {name(): [rng.choice(ODD) for _ in rows]}
    body = bytearray(orjson.dumps(rng.choice([rows, rows[0], columns, rng.choice(ODD)])))
    for _ in range(rng.choice([0, 0, 1, 5])):
        place = rng.randrange(len(body) + 1)
        if rng.random() < 0.5:
            body[place:place] = rng.randbytes(rng.randrange(1, 4))
        else:
            del body[place : place + rng.randrange(1, 9)]
    return bytes(body)
