"""What people hear of the champion: promotions, refusals, rollbacks."""

import dagster as dg
import pytest

from mlops_assets_tests.alerts.mailroom import PROMOTED, REFUSED, champion, champion_model, subjects


def test_a_promotion_is_told_with_models_rmse_and_the_interval_of_the_gain(office, smtp_server):
    office.materialize(champion_model, config=champion({"champion_type": "Lasso", "champion_version": 3}))
    office.materialize(champion_model, config=champion(PROMOTED))
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] Ridge is the new champion"
    said = [
        PROMOTED["verdict"],
        "Lasso (version 3) -> Ridge (version 4)",
        "5.2 min -> 5.1 min",
        "0.05 to 0.15",
        "1.92%",
    ]
    assert all(line in got.text for line in [*said, "mlops-assets history", "#/models/taxi/versions/4"]), got.text


def test_a_refusal_is_told(office, smtp_server):
    office.materialize(champion_model, config=champion(REFUSED))
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] Ridge does not become champion in place of Lasso"
    assert REFUSED["verdict"] in got.text and "Lasso (version 3) stays -> Ridge" in got.text


def test_the_leaderboard_is_a_chart_of_candidates_champion_and_baselines(office, smtp_server):
    rows = [("candidate", "Ridge", 5.1), ("champion", "Lasso", 5.2), ("baseline", "mean", 10.2)]
    board = [{"role": role, "model": name, "loss": loss, "low": loss, "high": loss} for role, name, loss in rows]
    office.materialize(champion_model, config=champion(PROMOTED | {"leaderboard_rows": board}))
    office.tick()
    (got,) = smtp_server.received
    lines = got.text.splitlines()
    assert f"> Ridge           {'█' * 12}{' ' * 12} 5.1 min (5.1 to 5.1)" in lines
    assert f"  baseline: mean  {'█' * 24} 10.2 min (10.2 to 10.2)" in lines
    assert got.html.count("width:50%") == 1 and got.html.count("width:100%") == 1


def test_a_proposal_holds_the_command_that_approves_it(office, smtp_server):
    told = REFUSED | {"decision": "proposed", "proposed_version": 4}
    office.materialize(champion_model, config=champion(told))
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] Ridge waits for your approval as champion"
    assert "    mlops-assets approve 4 --why ..." in got.text.splitlines()


@pytest.mark.parametrize("changes", [{"recomputed": False}, {"decision": "none"}])
def test_a_champion_that_nothing_was_decided_about_is_not_told(office, smtp_server, changes):
    office.materialize(champion_model, config=champion(PROMOTED | changes))
    office.tick()
    assert not smtp_server.received


def test_a_rollback_by_hand_is_told(office, instance, smtp_server):
    told = PROMOTED | {"verdict": "Rolled back by hand from version 4 to version 3.", "champion_version": 3}
    instance.report_runless_asset_event(dg.AssetMaterialization("champion_model", metadata=told))
    for _ in range(2):
        office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] the champion is Ridge again, version 3"]
    assert "Rolled back by hand from version 4 to version 3." in smtp_server.received[0].text
