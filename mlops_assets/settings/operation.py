"""What happens by itself, and how long things are kept."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from mlops_assets.settings.fields import Group, Zone


class AutomationSettings(Group):
    """What starts a retraining by itself, and when."""

    title = "Automation"

    schedule: str = Field(
        "off",
        description="Cron of the scheduled retraining, or `hourly`, `daily`, `weekly`, `monthly`, `each period` "
        "(after one of the dataset has ended), `off`.",
    )
    scoring_schedule: str = Field("off", description="Cron, or one of these words, of scoring the newest period.")
    timezone: Zone = Field(
        "UTC", description="Time zone of the schedules, and of times without one of their own: by it a period is over."
    )
    run_at_start: bool = Field(False, description="Retrain once when the daemon first sees the project.")
    retrain_in: Literal["process", "runs"] = Field(
        "process",
        description="Where a retraining makes its parts: in its own `process`, one after the other, or in `runs` side "
        "by side, a process each, for many cores. Where runs go to other machines, as with Celery, always the latter; "
        "with `runs` set, they are looked for every 5 s, else every 30 s.",
    )
    watch_source: bool = Field(True, description="Retrain when the source has a new or changed period.")
    watch_seconds: int = Field(300, ge=5, description="Seconds between looks at the source.")
    fresh_days: float = Field(35, ge=0.001, description="Days after which a champion is stale and retraining starts.")
    warn_days: float | None = Field(
        None,
        ge=0.0007,
        description="Days after which people are warned that it will be; by default nine tenths.",
    )

    @field_validator("warn_days")
    @classmethod
    def _warn_first(cls, days: float | None, info: ValidationInfo) -> float | None:
        if days is not None and days >= info.data.get("fresh_days", days + 1):
            raise ValueError("it must be less than MLOPS_FRESH_DAYS")
        return days

    @property
    def warn_after_days(self) -> float:
        return self.warn_days or 0.9 * self.fresh_days


class KeepingSettings(Group):
    """For how long answers, runs and versions are kept, and when what is older is removed."""

    title = "Keeping and cleaning"

    log_days: float = Field(
        90, ge=0, description="Days for which answers stay in the prediction log; 0 keeps them for ever."
    )
    keep_runs_days: float = Field(
        180,
        ge=0,
        description="Days for which `clean` keeps Dagster's runs with what they printed; 0 keeps them for ever.",
    )
    keep_trials_days: float = Field(180, ge=0, description="The same for trials and other runs in MLflow.")
    keep_models_days: float = Field(
        365, ge=0, description="The same for registered versions that were never champion, with their artefacts."
    )
    keep_answers_days: float = Field(90, ge=0, description="The same for files of answers to launched requests.")
    clean_schedule: str = Field("off", description="Cron, or one of these words, of `clean`.")
