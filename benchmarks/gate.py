"""The gate's promises, simulated: how often an equal model is promoted, and how often one that is 3 % better is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

if TYPE_CHECKING:
    from mlops_assets.core.judge.promotion import Verdict
    from mlops_assets.core.metrics import Clusters

TRIES, ROWS, DAYS, ROUTES = 2_000, 3_000, 30, 100
GATE = {"confidence": 0.95, "minimum_gain": 0.002}
PLANTED = 0.03
FALSE = Figure(
    "gate: an equal model is promoted",
    "5 % or less under every null (upper 95 % bound 6 %)",
    f"the worst of the nulls in the table, {TRIES:,} tries each of {ROWS:,} rows of {DAYS} days",
)
FALSE_OF_CLASSES = Figure(
    "gate: an equal model of classes is promoted",
    "5 % or less under every null (upper 95 % bound 6 %)",
    "the same with log losses of two classes, as many or 2 % positive, and of four; margins of both models lie as far "
    "from the true ones, by day and by row, and each day has rates of its own",
)
POWER = Figure(
    f"gate: a planted {PLANTED:.0%} is promoted",
    "80 % or more with a day effect of 0.01",
    f"the same rows; the model's errors are {PLANTED:.0%} smaller",
)


def measure(places: Places) -> Report:
    """Needs no data; every try has a seed of its own."""
    nulls = call(simulate_nulls).value
    powers = call(simulate_powers).value
    of_classes = call(simulate_class_nulls).value
    worst, worst_of_classes = (max(rows, key=lambda row: row[2]) for rows in (nulls, of_classes))
    power = {name: share for name, share, _ in powers}
    lines = [(name, f"{share:.1%}", f"{bound:.1%}") for name, share, bound in nulls + of_classes]
    lines += [(f"planted {PLANTED:.0%}, {name}", f"{share:.1%}", visible) for name, share, visible in powers]
    return Report(
        [
            *(
                figure.measured(f"{share:.1%} ({name}), bound {bound:.1%}", bound <= 0.06)
                for figure, (name, share, bound) in ((FALSE, worst), (FALSE_OF_CLASSES, worst_of_classes))
            ),
            POWER.measured(f"{power['day effect 0.01']:.1%}", power["day effect 0.01"] >= 0.8),
        ],
        [
            Table(
                "The gate under simulation",
                ("the two models disagree by", "promoted", "upper 95 % bound, or the gain said to be visible"),
                lines,
            )
        ],
    )


def simulate_nulls() -> list[tuple[str, float, float]]:
    """By null: the share of tries in which an equal model is promoted, and its upper 95 % bound (Wilson)."""
    found = []
    for name, differ in NULLS.items():
        promoted = sum(_is_promoted(differ, seed) for seed in range(TRIES))
        found.append((name, promoted / TRIES, _upper_bound(promoted, TRIES)))
    tries = TRIES // 4
    looked = sum(_is_promoted_in_ten_looks(seed) for seed in range(tries))
    found.append(("ten looks at the same rows", looked / tries, _upper_bound(looked, tries)))
    chosen = sum(_is_promoted_as_best_of_ten(seed) for seed in range(tries))
    found.append(("the best of ten on validation", chosen / tries, _upper_bound(chosen, tries)))
    return found


def simulate_class_nulls() -> list[tuple[str, float, float]]:
    """The same of classes."""
    found = []
    for name, rates in CLASS_NULLS.items():
        for share in (0.01, 0.3, 1):
            promoted = sum(_is_promoted_of_classes(np.array(rates), share, seed) for seed in range(TRIES))
            found.append((f"{name}, day effect {share:g}", promoted / TRIES, _upper_bound(promoted, TRIES)))
    return found


def simulate_powers() -> list[tuple[str, float, str]]:
    """By day effect: the share of tries in which a better model is promoted, and what was said to be visible."""
    found = []
    for share in (0.01, 0.05, 0.3):
        verdicts = [_verdict(_by_day(share), seed, 1 - PLANTED) for seed in range(TRIES // 4)]
        visible = float(np.median([verdict.champion.smallest_visible_gain for verdict in verdicts]))
        promoted = float(np.mean([verdict.promote for verdict in verdicts]))
        found.append((f"day effect {share:g}", promoted, f"{visible:.1%} said"))
    return found


def _independent(rng: np.random.Generator, days: np.ndarray, routes: np.ndarray) -> np.ndarray:
    return rng.normal(size=len(days))


def _heavy(rng: np.random.Generator, days: np.ndarray, routes: np.ndarray) -> np.ndarray:
    return rng.standard_t(4, size=len(days)) / np.sqrt(2)


def _by_day(share: float) -> Callable[..., np.ndarray]:
    def differ(rng: np.random.Generator, days: np.ndarray, routes: np.ndarray) -> np.ndarray:
        return np.sqrt(share) * rng.normal(size=DAYS)[days] + np.sqrt(1 - share) * rng.normal(size=len(days))

    return differ


def _by_route(share: float) -> Callable[..., np.ndarray]:
    def differ(rng: np.random.Generator, days: np.ndarray, routes: np.ndarray) -> np.ndarray:
        return np.sqrt(share) * rng.normal(size=ROUTES)[routes] + np.sqrt(1 - share) * rng.normal(size=len(days))

    return differ


def _autoregressive(memory: float) -> Callable[..., np.ndarray]:
    def differ(rng: np.random.Generator, days: np.ndarray, routes: np.ndarray) -> np.ndarray:
        from scipy.signal import lfilter

        return lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=len(days) + 200))[200:]

    return differ


NULLS: dict[str, Callable[..., np.ndarray]] = {
    "independent rows": _independent,
    "heavy tails (t4)": _heavy,
    **{f"day effect {share:g}": _by_day(share) for share in (0.01, 0.05, 0.3, 1)},
    **{f"AR(1) {memory:g}": _autoregressive(memory) for memory in (0.5, 0.9)},
    **{f"route effect {share:g}": _by_route(share) for share in (0.1, 0.5)},
}


CLASS_NULLS = {"two classes": (0.5, 0.5), "two classes, 2 % positive": (0.98, 0.02), "four classes": (0.25,) * 4}


def _rows(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """A generator, and the day and the route of each row; a few routes have most rows (Zipf)."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, ROUTES + 1)
    routes = rng.choice(ROUTES, size=ROWS, p=popularity / popularity.sum())
    return rng, np.sort(rng.integers(0, DAYS, ROWS)), routes


def _clusterings(days: np.ndarray, routes: np.ndarray) -> list[Clusters]:
    from mlops_assets.core.metrics import Clusters

    ids = {"days": days, "groups of route": routes}
    return [Clusters(name, np.unique(values, return_inverse=True)[1]) for name, values in ids.items()]


def _verdict(differ: Callable[..., np.ndarray], seed: int, scale: float = 1.0) -> Verdict:
    """The gate on two models whose squared errors differ so; the challenger's errors are `scale` times as large."""
    from mlops_assets.core.judge.promotion import judge

    rng, days, routes = _rows(seed)
    event = 4 * rng.chisquare(1, ROWS) + 6
    difference = differ(rng, days, routes)
    challenger, champion = np.abs(event - difference / 2) * scale**2, np.abs(event + difference / 2)
    return judge(challenger, champion, {}, clusterings=_clusterings(days, routes), **GATE)


def _is_promoted(differ: Callable[..., np.ndarray], seed: int) -> bool:
    return _verdict(differ, seed).promote


def _is_promoted_of_classes(rates: np.ndarray, share: float, seed: int) -> bool:
    """Two models whose margins differ by day and by row, each as often on the wrong side of the true ones."""
    from mlops_assets.core.judge.promotion import judge
    from mlops_assets.core.targets.metrics import LOG_LOSS
    from mlops_assets.core.targets.scaling import softmax

    rng, days, routes = _rows(seed)
    of_day, of_row = rng.normal(scale=0.5, size=(DAYS, len(rates))), rng.normal(size=(ROWS, len(rates)))
    true = np.log(rates) + of_day[days] + of_row
    code = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    apart = np.stack([_by_day(share)(rng, days, routes) for _ in rates], axis=1) / 4
    challenger, champion = (LOG_LOSS.losses(code, softmax(true + side)) for side in (apart, -apart))
    clusterings = _clusterings(days, routes)
    return judge(challenger, champion, {}, clusterings=clusterings, metric=LOG_LOSS, **GATE).promote


def _is_promoted_in_ten_looks(seed: int) -> bool:
    """Ten equally good challengers one after the other, asked of the same rows."""
    from mlops_assets.core.judge.promotion import judge

    rng, days, routes = _rows(seed)
    event, clusterings = 4 * rng.chisquare(1, ROWS) + 6, _clusterings(days, routes)
    champion = event + _by_day(0.05)(rng, days, routes) / 2
    looks = (event + _by_day(0.05)(rng, days, routes) / 2 for _ in range(10))
    return any(
        judge(challenger, champion, {}, clusterings=clusterings, look=look, **GATE).promote
        for look, challenger in enumerate(looks, start=1)
    )


def _is_promoted_as_best_of_ten(seed: int) -> bool:
    """The best of ten equally good challengers on validation rows, judged once on test rows."""
    from mlops_assets.core.judge.promotion import judge

    rng, days, routes = _rows(seed)
    lead = rng.normal(scale=0.05, size=10)  # what each is better by on validation, which says nothing of test rows
    best = int(np.argmax(lead))
    event = 4 * rng.chisquare(1, ROWS) + 6
    errors = [event + _by_day(0.05)(rng, days, routes) / 2 for _ in range(11)]
    return judge(errors[best], errors[10], {}, clusterings=_clusterings(days, routes), **GATE).promote


def _upper_bound(hits: int, tries: int) -> float:
    """Of a share, one-sided 95 % (Wilson, 1927)."""
    z, share = 1.6449, hits / tries
    centre = share + z**2 / (2 * tries)
    return float((centre + z * np.sqrt(share * (1 - share) / tries + z**2 / (4 * tries**2))) / (1 + z**2 / tries))
