"""The gate: whether a challenger may replace the champion, and what a policy of retraining would have cost.

In: predictions of both on the same rows, or clean periods. Out: a verdict in words, or a backtest.
"""
