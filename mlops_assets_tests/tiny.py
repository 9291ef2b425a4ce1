"""The small dataset `tiny`: its YAML as a mapping, changes of that, and random rows."""

import numpy as np

TINY = {
    "name": "tiny",
    "source": {"kind": "files", "uri": "tiny_{period}.csv"},
    "columns": {
        "at": {"type": "time"},
        "town": {"type": "text"},
        "zone": {"type": "integer"},
        "size": {"type": "number"},
        "price": {"type": "number"},
    },
    "time": {"column": "at", "first": "2024-01"},
    "target": {"column": "price", "keep": [1, 1000]},
    "features": {
        "categorical": ["town", "zone"],
        "numeric": {"size": {"clip": [0, 100]}},
        "calendar": {"at": {"parts": ["hour", "weekday"]}},
        "pairs": [["town", "zone"]],
        "group_means": {"keys": [["town"], ["town", "at_hour/6"], ["zone", "size/10"]], "relative_to": "size"},
    },
}


def random_columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`n` rows, some values missing."""
    rng = np.random.default_rng(seed)
    town = np.array(["Ay", "Bree", "Cork", None], object)[rng.integers(0, 4, n)]
    zone = np.where(rng.random(n) < 0.1, np.nan, rng.integers(1, 6, n))
    size = np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 15, n))
    at = np.datetime64("2024-01-01", "us") + rng.integers(0, 60 * 86_400, n).astype("timedelta64[s]")
    at[rng.random(n) < 0.05] = np.datetime64("NaT")
    price = 5 + np.nan_to_num(size) * rng.lognormal(0, 0.3, n)
    return {"at": at, "town": town, "zone": zone, "size": size, "price": price}


def put(place, value):
    """A change that sets one place of the document, such as `target.keep`."""

    def change(document):
        *path, last = place.split(".")
        for key in path:
            document = document.setdefault(key, {})
        document[last] = value

    return change
