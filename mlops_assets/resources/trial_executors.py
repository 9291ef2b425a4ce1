"""Where the settings let trials run: in this process, in processes of this machine, or on a Dask cluster."""

from mlops_assets.core.executors import Executor, make_executor, threads_each
from mlops_assets.resources.dask_cluster import DaskCluster
from mlops_assets.settings import Settings


def open_executor(setting: str) -> Executor:
    """The executor that MLOPS_TRIALS names."""
    kind, _, address = setting.partition(":")
    return DaskCluster(address) if kind == "dask" else make_executor(setting)


def threads_of_a_trial(settings: Settings, executor: Executor) -> int:
    """The threads of this machine are shared out; of a worker's machine nothing is known but what is set."""
    if isinstance(executor, DaskCluster):
        return settings.threads or 1
    return threads_each(settings.thread_count, executor)
