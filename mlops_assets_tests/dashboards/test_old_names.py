"""Charts of users that call periods months."""

from mlops_assets.dashboards.spec import Chart


def test_a_chart_of_months_is_one_of_periods():
    chart = Chart(
        title="Rows", source="months", type="bar", x="month", metrics=[{"aggregation": "sum", "column": "rows"}]
    )
    assert (chart.source, chart.x, chart.metrics[0].column) == ("periods", "period", "rows")


def test_columns_are_renewed_wherever_they_stand():
    chart = Chart(
        title="Walked",
        source="backtest",
        type="table",
        columns=["policy", "month", "months_learnt"],
        filters={"month": ["2024-01", "month"]},
        order="-month",
    )
    assert chart.columns == ("policy", "period", "periods_learnt")
    assert chart.order == "-period"
    assert chart.filters["period"].one_of == ("2024-01", "month")


def test_a_column_of_another_source_may_be_called_month():
    assert Chart(title="Asked", source="predictions", type="bar", x="month").x == "month"
