"""`--json`: what commands answer, as one document for programs."""

import json

import pytest


def answered(shop, *words):
    answer = shop.command(*words, "--json")
    return answer.code, json.loads(answer.out)


def test_why_has_each_partition_with_its_reasons(shop):
    code, tasks = answered(shop, "why", "all")
    assert code == 0
    raw = [task for task in tasks if task["asset"] == "raw_data"]
    assert [(task["partition"], task["stale"], task["reasons"], task["waits_for"]) for task in raw] == [
        (period, False, [], None) for period in ("2024-01", "2024-02", "2024-03")
    ]


def test_history_has_each_champion_with_its_times(shop):
    _, (champion,) = answered(shop, "history")
    assert (champion["model_type"], champion["until"]) == ("Ridge", None)
    assert champion["reason"].startswith("Promoted")
    assert answered(shop, "history", "--verify") == (0, {"sealed": 1, "broken": []})


def test_doctor_has_each_finding_and_the_same_exit_code(shop):
    code, findings = answered(shop, "doctor")
    assert code == sum(finding["needed"] and not finding["passed"] for finding in findings)
    assert findings[0] == {"check": "settings and dataset", "passed": True, "needed": True, "told": "shop"}


def test_clean_has_what_would_go(shop):
    _, kinds = answered(shop, "clean", "--dry-run")
    assert {"what", "older_than_days", "count", "bytes"} == set(kinds[0])


def test_mail_preview_has_the_page_of_each_kind(shop, tmp_path):
    _, pages = answered(shop, "mail", "preview", str(tmp_path))
    assert pages["tick"] == str(tmp_path / "tick.html") and {"failure", "digest"} < pages.keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for_a_shell(shop, shell):
    answer = shop.process(**{"_MLOPS_ASSETS_COMPLETE": f"source_{shell}"})
    assert answer.returncode == 0 and "mlops-assets" in answer.stdout
