"""Every error this project raises on purpose.

MlopsError
├── SettingsError          an environment variable is missing or wrong
├── SpecError              the dataset YAML or the search-space YAML is wrong
├── SourceError            rows cannot be had
│   ├── NotPublished       the period does not exist (yet): an answer, not a failure
│   ├── SourceUnreachable  a server or database did not answer: worth a retry
│   └── BadTable           what came is not the table the spec describes
├── DataError              rows came, but they cannot be used (empty period, no target)
├── StorageError           an artefact cannot be written or read
│   └── StorageUnreachable the store did not answer: worth a retry
├── ModelError             an estimator cannot be built, saved, loaded or trusted
├── TuningError            a search cannot give a result
│   └── ClusterUnreachable the machines that run trials or a final fit do not answer: worth a retry
├── TrackingError          MLflow does not answer or lacks what was asked for
├── DeliveryError          a mail server or a webhook cannot be used: nothing goes out over it for now
│   ├── DeliveryRefused    it answers, but does not take this message or its recipient
│   └── DeliveryUnconfirmed the message was handed over, but that was not confirmed
├── LaunchError            Dagster does not answer, or does not launch what was asked for
├── ServiceError           a service that others need does not run, or not as it should
├── InputError             a row to predict is not usable
└── ApiError               a request is refused, with a status for its caller (in serving/errors.py)

A message says what is wrong, which one, and what to do.
"""


class MlopsError(Exception):
    """Base of all expected errors; the CLI prints its message without a traceback."""


class SettingsError(MlopsError):
    """An environment variable is missing or wrong."""


class SpecError(MlopsError):
    """A YAML file does not describe a dataset or a search space."""


class SourceError(MlopsError):
    """Rows cannot be had from the source."""


class NotPublished(SourceError):
    """The source does not have this period."""


class SourceUnreachable(SourceError):
    """The source did not answer in time; a later try may succeed."""


class BadTable(SourceError):
    """The source's table is damaged, or its columns or types are not those of the spec."""


class DataError(MlopsError):
    """The rows are well-formed but cannot be used."""


class StorageError(MlopsError):
    """An artefact cannot be written or read."""


class StorageUnreachable(StorageError):
    """The store of artefacts did not answer; a later try may succeed."""


class ModelError(MlopsError):
    """An estimator cannot be built, saved, loaded or trusted."""


class TuningError(MlopsError):
    """A search cannot give a result."""


class ClusterUnreachable(TuningError):
    """The machines of a cluster do not answer; a later try may succeed, and a search goes on where it was."""


class TrackingError(MlopsError):
    """MLflow does not answer, or does not hold what was asked for."""


class DeliveryError(MlopsError):
    """A mail server or a webhook cannot be used; a later try may succeed."""


class DeliveryRefused(DeliveryError):
    """This message is not taken, or its recipient is not known; others may pass."""


class DeliveryUnconfirmed(DeliveryError):
    """A message was handed over, but the other side fell silent: it may be sent, or may not."""


class LaunchError(MlopsError):
    """Dagster's launch API does not answer, or refuses what was asked of it."""


class ServiceError(MlopsError):
    """A service that others need does not run, or says that something is wrong with it."""


class InputError(MlopsError):
    """A row to predict is not usable; `row` (from 0) and `field` (an alias) tell where one of them is to blame.

    `fields`: all that are, where there are several.
    """

    def __init__(
        self, message: str, *, row: int | None = None, field: str | None = None, fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.row = row
        self.field = field
        self.fields = fields or (() if field is None else (field,))
