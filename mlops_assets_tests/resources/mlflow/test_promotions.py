from datetime import UTC, datetime, timedelta

from mlops_assets.resources.mlflow.promotions import Change, broken_seals, changes_of, line_of_champions, seal_of

START = datetime(2024, 3, 1, 2, 3, 4, 567, tzinfo=UTC)


def change(version: int, hour: int, is_rollback: bool = False) -> Change:
    return Change(version, START + timedelta(hours=hour), f"reason {hour}", is_rollback)


def tags_of(*changes: Change, before: str = "") -> dict[str, str]:
    return {before + change.tag_key: change.reason for change in changes}


def test_changes_survive_as_tags_and_come_oldest_first():
    first, second, third = change(1, 0), change(2, 1), change(1, 2, is_rollback=True)
    tags = {2: tags_of(second), 1: {"model_type": "Ridge"} | tags_of(third, first)}
    assert changes_of(tags, champion=1) == [first, second, third]


def test_a_pending_change_counts_only_where_the_alias_has_moved():
    first, second = change(1, 0), change(2, 1)
    tags = {1: tags_of(first), 2: tags_of(second, before="pending/")}
    assert changes_of(tags, champion=1) == [first]
    assert changes_of(tags, champion=2) == [first, second]


def test_a_change_that_is_both_pending_and_done_is_one():
    only = change(1, 0)
    assert changes_of({1: tags_of(only) | tags_of(only, before="pending/")}, champion=1) == [only]


def test_times_of_other_zones_are_kept_in_utc():
    here = START.astimezone()
    assert (
        Change(1, here, "", False).tag_key
        == Change(1, START, "", False).tag_key
        == "promoted/2024-03-01T020304.000567Z"
    )


def test_the_line_of_champions_ends_with_the_present_one():
    assert line_of_champions([change(1, 0), change(2, 1), change(3, 2)]) == [1, 2, 3]


def test_a_second_rollback_goes_further_back_and_not_forth():
    changes = [change(1, 0), change(2, 1), change(3, 2), change(2, 3, is_rollback=True)]
    assert line_of_champions(changes) == [1, 2]
    assert line_of_champions([*changes, change(1, 4, is_rollback=True)]) == [1]
    assert line_of_champions([*changes, change(4, 4)]) == [1, 2, 4]


def test_a_version_may_become_champion_again():
    assert line_of_champions([change(1, 0), change(2, 1), change(1, 2)]) == [1, 2, 1]


def test_a_rollback_to_a_version_that_is_no_longer_on_the_line_starts_it_anew():
    assert line_of_champions([change(2, 1), change(1, 2, is_rollback=True)]) == [1]


def sealed(changes: list[Change]) -> dict[str, str]:
    seals, before = {}, ""
    for one in changes:
        before = seals[one.tag_key] = seal_of(one, before)
    return seals


def test_a_change_that_is_altered_removed_or_put_between_breaks_the_chain():
    changes = [change(1, 0), change(2, 1), change(1, 2, is_rollback=True)]
    seals = sealed(changes)
    assert broken_seals(changes, seals) == []
    altered = Change(2, changes[1].at, "another reason", False)
    assert broken_seals([changes[0], altered, changes[2]], seals) == [altered]
    assert broken_seals([changes[0], changes[2]], seals) == [changes[2]]
    between = change(3, 1, is_rollback=True)
    assert between in broken_seals([*changes[:2], between, changes[2]], seals)


def test_what_was_recorded_before_there_were_seals_breaks_nothing():
    old, new = change(1, 0), change(2, 1)
    assert broken_seals([old, new], sealed([new])) == []
