"""FLAML with its defaults on one table, run by a Python that has it: `flaml_rival.py FOLDER CPU_SECONDS`.

FLAML stops by the clock; here that is the CPU time of its process, so that a busy machine takes nothing from it.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

TARGET = "truth"


def main(folder: Path, cpu_seconds: float) -> None:
    began = time.time()
    time.time = lambda: began + time.process_time()
    from flaml import AutoML

    train, test = (pd.read_csv(folder / f"{name}.csv") for name in ("train", "test"))
    inputs = [name for name in train if name != TARGET]
    for name in inputs:
        if not pd.api.types.is_numeric_dtype(train[name]):
            known = pd.CategoricalDtype(sorted(train[name].dropna().unique()))
            train[name], test[name] = train[name].astype(known), test[name].astype(known)
    is_number = pd.api.types.is_numeric_dtype(train[TARGET])
    task, metric = ("regression", "rmse") if is_number else ("classification", "log_loss")
    learner = AutoML()
    truth = train[TARGET] if is_number else train[TARGET].astype(object).to_numpy()
    learner.fit(
        train[inputs],
        truth,
        task=task,
        metric=metric,
        time_budget=cpu_seconds,
        n_jobs=1,
        seed=7,
        verbose=0,
    )
    if is_number:
        loss = float(np.sqrt(np.mean((learner.predict(test[inputs]) - test[TARGET]) ** 2)))
    else:
        said, places = learner.predict_proba(test[inputs]), {label: n for n, label in enumerate(learner.classes_)}
        code = [places[label] for label in test[TARGET]]
        loss = float(-np.log(np.maximum(said[np.arange(len(code)), code], 1e-15)).mean())
    print(json.dumps({"loss": loss, "model": learner.best_estimator}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
