"""Data files of installed packages."""

import sys

import pytest

from mlops_assets.dataset import SNAPSHOT
from mlops_assets.errors import SourceError

CODES = {"code": {"type": "integer"}, "value": {"type": "number"}}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that fails when it is imported."""
    folder = tmp_path / "site" / "codes_of_the_tests"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "data" / "codes.csv").write_text("code,value\n1,2.5\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder.name


def test_a_packages_file_is_read_without_importing_the_package(package, make_spec, open_rows):
    source = {"kind": "package", "package": package, "path": "data/codes.csv"}
    rows = open_rows(make_spec(source, columns=CODES, time={})).read(SNAPSHOT)
    assert rows.to_pylist() == [{"code": 1, "value": 2.5}]
    assert package not in sys.modules


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.part", "os"])
def test_a_missing_package_asks_to_install_it(make_spec, open_rows, name):
    source = {"kind": "package", "package": name, "path": "data/codes.csv"}
    with pytest.raises(SourceError, match=f"the package {name} of source.package is not installed: install it"):
        open_rows(make_spec(source, columns=CODES, time={}))


def test_a_file_that_the_package_lacks_is_named(package, make_spec, open_rows):
    source = {"kind": "package", "package": package, "path": "data/other.csv"}
    with pytest.raises(SourceError, match=f"the package {package} has no file data/other.csv"):
        open_rows(make_spec(source, columns=CODES, time={}))
