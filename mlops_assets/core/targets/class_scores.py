"""What is told of classes beside the metric: none of these decides anything."""

from __future__ import annotations

import numpy as np

from mlops_assets.core.targets.metrics import BRIER, LOG_LOSS
from mlops_assets.core.types import FloatArray

BINS = 15  # of the calibration error, by equal shares of rows (Nguyen and O'Connor, 2015)


def class_scores(y: FloatArray, output: FloatArray) -> dict[str, float]:
    """Log loss, Brier score, areas, F1, balanced accuracy and calibration error, as far as both sides are there.

    `output` (n, k); of more than two classes, areas and F1 are the means over the classes.
    """
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

    scores = {"log_loss": LOG_LOSS(y, output), "brier": BRIER(y, output), "ece": calibration_error(y, output)}
    codes = [1] if output.shape[1] == 2 else range(output.shape[1])
    each = [(y == code, output[:, code]) for code in codes if 0 < np.count_nonzero(y == code) < len(y)]
    if each:
        scores["roc_auc"] = float(np.mean([roc_auc_score(came, said) for came, said in each]))
        scores["pr_auc"] = float(np.mean([average_precision_score(came, said) for came, said in each]))
        decided = output.argmax(axis=1)
        average = "binary" if output.shape[1] == 2 else "macro"
        scores["f1"] = float(f1_score(y.astype(int), decided, average=average, zero_division=0))
        known = np.isin(decided, np.unique(y))
        scores["balanced_accuracy"] = float(balanced_accuracy_score(y[known].astype(int), decided[known]))
    return scores


def calibration_error(y: FloatArray, output: FloatArray) -> float:
    """How far what is said of a class lies from how often it comes, on average over bins and classes (ECE)."""
    errors = []
    for code in range(1 if output.shape[1] == 2 else 0, output.shape[1]):
        said = output[:, code]
        place = np.unique(np.quantile(said, np.arange(1, BINS) / BINS)).searchsorted(said)
        errors.append(float(np.abs(np.bincount(place, weights=said - (y == code))).sum() / len(y)))
    return float(np.mean(errors))
