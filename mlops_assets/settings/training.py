"""How models are tuned and fitted, and what a champion has to be worth."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mlops_assets.settings.fields import ClassPaths, Group, Names
from mlops_assets.validation import spelled

_DASK = r"dask:(tcp|tls)://[^\s@]+:\d+"


class TrainingSettings(Group):
    """Model types, their searches, and the machines that fits run on."""

    title = "Tuning and training"

    model_types: Names = Field(
        (),
        description="Model types to tune and fit, by name or import path, separated by commas; `Ensemble` blends "
        "the others. Where left out, "
        "LinearRegression, Ridge, Lasso and XGBoost for numbers, and classifiers for classes.",
        min_length=1,
    )
    search_spaces: Path | None = Field(
        None, description="YAML of search spaces that add to, or replace, those of the registry."
    )
    trusted_types: ClassPaths = Field(
        (),
        description="Classes of your own that a saved model may hold, by import path, separated by commas; set it "
        "wherever models are made, loaded or served.",
    )
    max_trials: int = Field(10, ge=1, le=100_000, description="Trials a model type, at most.")
    tuning_seconds: float = Field(600, gt=0, description="Seconds after which a search starts no further trial.")
    cpu_minutes: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="CPU minutes that the searches of all model types may take together, spread by what each promises; "
        "in place of the two above.",
    )
    patience: int = Field(15, ge=1, description="Trials without a better loss after which a search stops.")
    suggester: Literal["hyperopt", "optuna", "random"] = Field(
        "hyperopt",
        description="What suggests the points of a search: TPE of `hyperopt` or of `optuna` (an extra), or `random`.",
    )
    tuning_rows: int = Field(
        100_000, ge=100, description="Training rows a trial sees, at most, spread evenly over the window."
    )
    trials: Annotated[str, spelled(rf"local(:[1-9]\d*)?|{_DASK}", "one of its forms")] = Field(
        "local",
        description="Where trials run: `local`, `local:N` processes, or `dask:tcp://host:8786`, a Dask cluster.",
    )
    trial_width: int = Field(
        0, ge=0, description="Trials in flight, part of what fixes a search; 0 takes one a process, four on a cluster."
    )
    final_fit: Annotated[str, spelled(rf"local|{_DASK}", "one of its forms")] = Field(
        "local",
        description="Where XGBoost's final fit runs: `local`, or `dask:tcp://host:8786`, its rows divided over the "
        "workers of a Dask cluster.",
    )
    memory_rows: int = Field(
        2_000_000,
        ge=100,
        description="Rows of a window that are in memory at once, at most. Of a larger one, encoders learn from so "
        "many of its rows, spread evenly. XGBoost, Ridge and LinearRegression read all from disk, other types so many.",
    )
    threads: int = Field(
        0, ge=0, description="Threads a fit uses; 0 takes all cores, and one for a trial on a cluster."
    )
    seed: int = Field(7, ge=0, lt=2**31, description="Seed of every random choice.")

    @property
    def thread_count(self) -> int:
        return self.threads or os.cpu_count() or 1


class PromotionSettings(Group):
    """What a challenger has to gain, and what a champion has to keep of its promise."""

    title = "Promotion and monitoring"

    promotion: Literal["auto", "propose"] = Field(
        "auto",
        description="Who makes a challenger champion that has passed the gate: `auto`, the gate itself; `propose`, a "
        "person, by `mlops-assets approve`.",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the intervals that the gate and leaderboard use."
    )
    minimum_gain: float = Field(
        0.002, ge=0, lt=1, description="Share of the champion's loss that a challenger must gain."
    )
    coverage: float = Field(
        0.9, ge=0.5, le=0.99, description="Share of true values that prediction intervals are made to hold."
    )
    performance_margin: float = Field(
        0.1, ge=0, description="Share of the promised loss by which the realised one may be above it."
    )
