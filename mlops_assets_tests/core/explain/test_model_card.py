"""The model card: it tells what is recorded, and names limits where there are any."""

from dataclasses import replace

import pytest

from mlops_assets.core.explain.importance import Explanation, Weight
from mlops_assets.core.explain.model_card import CardFacts, Judged, Origin, model_card
from mlops_assets.core.features.signature import Input
from mlops_assets.core.monitor.performance import Realised, Segment
from mlops_assets.core.prepare.splitting import Periods

OVERALL = Realised(rows=900, loss=5.0, mae=3.0, bias=-0.25, coverage=0.9)
NARROW = Segment("high third of predictions", Realised(rows=300, loss=8.0, mae=6.0, bias=-2.0, coverage=0.8))
FINE = Segment("low third of predictions", Realised(rows=300, loss=2.0, mae=1.0, bias=0.0, coverage=0.91))
LINE = {"role": "candidate", "model": "Ridge", "version": 4, "loss": 5.0, "low": 4.8, "high": 5.2}


@pytest.fixture
def facts(make_spec):
    return CardFacts(
        spec=make_spec(description="Prices of a small shop."),
        version=5,
        model_type="Ridge",
        verdict="Promoted: RMSE 5 is 10% below the 5.6 of the champion.",
        periods=Periods(("2024-01", "2024-02"), ("2024-03",), ("2024-04",)),
        rows_by_period={"2024-01": 1000, "2024-02": 1100, "2024-03": 1200, "2024-04": 900},
        inputs=[
            Input("town", "text", ("Ay", "Bree"), None, None, None),
            Input("size", "number", None, 0.5, 100.0, None),
            Input("at", "time", None, "2024-01-01T00:00:00.000000", "2024-04-30T23:59:00.000000", None),
        ],
        judged=Judged(4, "test", ("2024-04",), OVERALL, (FINE, NARROW), [LINE], 0.9),
        explanation=Explanation("mean absolute contribution", 500, (Weight("size", 3.25), Weight("town", 0.5))),
        origin=Origin({"seed": "7"}, {"alpha": "2.5"}, "mlops-assets run"),
    )


def test_a_card_tells_what_is_recorded(facts):
    card = model_card(facts, pictures=False).markdown()
    for told in (
        "# tiny, version 5: Ridge",
        "Prices of a small shop. Promoted: RMSE 5 is 10% below the 5.6 of the champion.",
        "The target is made of price; it is learnt as a number, by rmse.",
        "Values from 1 to 1000 are learnt and predicted",
        "has learnt from 4,200 clean rows: 2024-01 to 2024-04. Version 4, which won for it,",
        "| validation | 2024-03 |",
        "| town | text | 2 categories |",
        "| size | number | 0.5 to 100 |",
        "| at | time | 2024-01-01T00:00 to 2024-04-30T23:59 |",
        "Version 4 on rows that it has not learnt from (test, 2024-04):",
        "| all rows | 900 | 5 | 3 | -0.25 | 90.0% |",
        "| candidate | Ridge | 4 | 5 | 4.8 to 5.2 |",
        "| size | 3.25 |",
        '"alpha": "2.5"',
    ):
        assert told in card, told


def test_a_target_that_keeps_every_value_says_nothing_of_limits(facts):
    target = facts.spec.target.model_copy(update={"keep": None})
    spec = facts.spec.model_copy(update={"target": target})
    assert "are learnt and predicted" not in model_card(replace(facts, spec=spec), pictures=False).markdown()


def test_limits_are_those_that_the_figures_show(facts):
    card = model_card(facts, pictures=False).markdown()
    assert "Errors are largest for high third of predictions: RMSE 8, where 5 is overall." in card
    assert "Intervals hold 80.0% of the truth for high third of predictions, not 90%." in card
    assert "Intervals hold 91.0%" not in card
    assert "none of these months of a year: May, June, July, August, September, October, November, December." in card
    assert "It knows nothing of what has changed since 2024-04." in card


def test_a_model_that_has_seen_every_period_and_has_no_intervals_has_fewer_limits(facts):
    year = tuple(f"2024-{number:02}" for number in range(1, 13))
    periods = Periods(year[:10], year[10:11], year[11:])
    segments = tuple(replace(one, realised=replace(one.realised, coverage=None)) for one in (FINE, NARROW))
    judged = replace(facts.judged, overall=replace(OVERALL, coverage=None), segments=segments, coverage=None)
    card = model_card(replace(facts, periods=periods, judged=judged), pictures=False).markdown()
    assert "none of these periods" not in card and "Intervals" not in card


def test_a_snapshot_has_no_periods_to_tell(facts, make_spec):
    periods = Periods(("snapshot",), ("snapshot",), ("snapshot",))
    facts = replace(
        facts,
        spec=make_spec(
            time=None,
            source={"kind": "files", "uri": "tiny.csv"},
            features={"categorical": ["town"], "numeric": {"size": {}}},
        ),
        periods=periods,
        rows_by_period={"snapshot": 1000},
        judged=replace(facts.judged, periods=("snapshot",)),
    )
    card = model_card(facts, pictures=False).markdown()
    assert "1,000 clean rows: one snapshot." in card
    assert "rows that it has not learnt from (test):" in card
    assert "It knows nothing of what has changed" not in card


def test_only_the_page_carries_a_picture(facts):
    assert "data:image/svg+xml" not in model_card(facts, pictures=False).html()
    assert "data:image/svg+xml" in model_card(facts, pictures=True).html()
