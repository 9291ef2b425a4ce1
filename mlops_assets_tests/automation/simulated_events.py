"""What may happen in a simulated year, each event with how often, and histories of them by chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from mlops_assets_tests.automation.simulated_world import Broken, World

Event = Callable[[World, random.Random], None]
MOODS = ("takes", "refuses", "down", "loses", "falls silent")
PLACES = ("source", "models", "records", "tables", "disk")


def _goes(world: World, chance: random.Random) -> None:
    world.place(chance.choice(PLACES), away=True)


def _comes(world: World, chance: random.Random) -> None:
    for name in PLACES:
        world.place(name, away=False)


def _both_tick(world: World, chance: random.Random) -> None:
    world.ticks = 2
    world.go_on(2)


def _somebody_is_slow(world: World, chance: random.Random) -> None:
    world.next_dawdles = chance.randint(1, 4)
    world.go_on(3)


def _mail(world: World, chance: random.Random) -> None:
    world.post.mood = chance.choice(MOODS)
    chance.choice([world.mail, world.two_mail])()


def _online(world: World, chance: random.Random) -> None:
    world.rows_are_predicted_online()
    world.go_on(2)


def _full_for_minutes(world: World, chance: random.Random) -> None:
    world.place("disk", away=True)
    world.go_on(chance.randint(3, 10))
    world.place("disk", away=False)


def _source_away_for_hours(world: World, chance: random.Random) -> None:
    world.place("source", away=True)
    world.somebody_retrains()
    world.go_on(24, seconds=600)


def _champion_and_back(world: World, chance: random.Random) -> None:
    world.period_arrives()
    world.go_on(24)
    world.somebody_rolls_back()


def _die(who: str) -> Event:
    return lambda world, chance: world.die(who, chance.randint(0, 6 if who == "worker" else 12))


def _wait(world: World, chance: random.Random) -> None:
    hours = chance.choice([1, 2, 12, 30])
    for _ in range(3):
        world.go_on(seconds=hours * 1_200)


EVENTS: dict[str, tuple[int, Event]] = {
    "rounds": (30, lambda world, chance: world.go_on(chance.randint(1, 8))),
    "a wait": (4, _wait),
    "a period arrives": (8, lambda world, chance: world.period_arrives()),
    "a period changes": (7, lambda world, chance: world.period_changes(chance.randrange(3))),
    "a period changes for the worse": (2, lambda world, chance: world.period_changes(chance.randrange(3), bad=True)),
    "a worker dies": (14, _die("worker")),
    "the daemon dies": (6, _die("daemon")),
    "the daemon is started": (6, lambda world, chance: world.daemon(lives=True)),
    "the retraining's process dies": (3, _die("umbrella")),
    "all workers die": (2, _die("workers")),
    "a place goes away": (6, _goes),
    "all places are there": (8, _comes),
    "two ticks at once": (4, _both_tick),
    "a slow worker": (6, _somebody_is_slow),
    "somebody retrains": (4, lambda world, chance: world.somebody_retrains()),
    "somebody cancels": (3, lambda world, chance: world.somebody_cancels(chance.randrange(3))),
    "a new champion is rolled back": (2, _champion_and_back),
    "the disk is full for minutes": (3, _full_for_minutes),
    "the source is away for hours": (1, _source_away_for_hours),
    "a rollback": (3, lambda world, chance: world.somebody_rolls_back()),
    "the alias is moved by hand": (1, lambda world, chance: world.somebody_moves_the_alias(chance.randrange(9))),
    "a file is removed": (2, lambda world, chance: world.somebody_removes_a_file(chance.randrange(99))),
    "the clock is set": (3, lambda world, chance: world.clock_moves(timedelta(minutes=chance.choice(CLOCK)))),
    "the sensor is off": (2, lambda world, chance: world.sensor(on=False)),
    "the sensor is on": (3, lambda world, chance: world.sensor(on=True)),
    "mail": (9, _mail),
    "rows online": (5, _online),
}
CLOCK = (-1, -180, -43_200, -43_200, 60, 14_400)
NAMES = tuple(EVENTS)
WEIGHTS = tuple(weight for weight, _ in EVENTS.values())


def history(seed: str, events: int = 14) -> World:
    """A history of so many events, and the calm after it; raises Broken, with its story, where something is amiss."""
    chance, world = random.Random(seed), World()
    world.lazy = chance.random() < 0.3
    try:
        for _ in range(chance.choice([1, 3, 3, 4])):
            world.period_arrives()
        for name in chance.choices(NAMES, WEIGHTS, k=events):
            EVENTS[name][1](world, chance)
            world.check()
        world.calm()
    except Broken as broken:
        broken.add_note(f"history {seed}")
        broken.add_note("\n".join(world.story))
        raise
    return world
