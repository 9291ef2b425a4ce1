"""Whether intervals held as often as they say: overall beyond what days explain, and where they did not."""

from __future__ import annotations

import numpy as np

from mlops_assets.core.metrics import FEWEST_CLUSTERS, Clusters, estimate
from mlops_assets.core.monitor.performance import FEWEST_ROWS, Judgement, Outcomes

SLACK = 0.05  # so far below what was promised, beyond doubt, is a fault; less is worth a look


def judge_coverage(outcomes: Outcomes, promised: float, *, confidence: float) -> Judgement:
    """Whether the share of truths within their interval is what was promised, or below it by chance alone.

    Rows of a day, or of a group, are held or missed together: they count as one. A promise counts as broken where the
    whole interval of the share lies below it, and as broken beyond doubt where that lies SLACK below.
    """
    rows = np.isfinite(outcomes.held)
    if np.count_nonzero(rows) < FEWEST_ROWS:
        return Judgement(True, False, f"too few {outcomes.span}s to judge by")
    known = outcomes.take(rows)
    inside = known.held
    sentence = f"{known.span}s held {inside.mean():.1%} where {promised:.0%} was promised"
    if inside.mean() >= promised:
        return Judgement(True, False, sentence)
    clusterings = known.clusterings or (Clusters.of_rows(len(known)),)
    if all(len(clusters) < FEWEST_CLUSTERS for clusters in clusterings):
        return Judgement(True, False, f"{sentence}; {' and '.join(map(str, clusterings))} are too few to judge by")
    share = estimate(inside[None], clusterings, lambda means: means[0])
    span = share.interval(confidence)
    low, high = max(span.low, 0.0), min(span.high, 1.0)
    reason = f"{sentence}; {confidence:.0%} interval {low:.1%} to {high:.1%}, by {share.clusters}"
    return Judgement(high >= promised, high < promised - SLACK, reason)
