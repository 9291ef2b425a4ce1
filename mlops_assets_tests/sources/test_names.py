"""People are told which file or table it is, and nothing that is hidden."""

import pytest

from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.sources.names import source_name
from mlops_assets_tests.homes import SHOP, write_yaml


@pytest.mark.parametrize(
    ("source", "period", "name"),
    [
        ({"kind": "files", "uri": "/data/sales_{period}.csv"}, "2024-02", "file sales_2024-02.csv"),
        ({"kind": "files", "uri": "/data/sales_{period}.csv"}, None, "file sales_{period}.csv"),
        ({"kind": "files", "uri": "https://me:secret@x.org/a/all.csv?sig=secret"}, "2024-02", "file all.csv"),
        ({"kind": "sql", "url": "sqlite:///secret.db", "table": "main.sales"}, "2024-02", "table main.sales"),
        ({"kind": "sql", "url": "sqlite:///secret.db", "query": "SELECT secret"}, None, "the query of source.query"),
        ({"kind": "delta", "uri": "s3://shop/sales/"}, None, "Delta table sales"),
        ({"kind": "package", "package": "shops", "path": "data/x.csv"}, None, "file x.csv of the package shops"),
    ],
)
def test_a_source_is_called_by_its_file_or_table(source, period, name):
    assert source_name(DatasetSpec.model_validate(SHOP | {"source": source}), period) == name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({"kind": "files", "uri": "${PLACE}"}, "file ${PLACE}"),
        ({"kind": "files", "uri": "/data/${PLACE}_{period}.csv"}, "file ${PLACE}_{period}.csv"),
        ({"kind": "sql", "url": "sqlite:///x.db", "table": "${PLACE}"}, "table ${PLACE}"),
    ],
)
def test_what_comes_from_the_environment_is_called_by_its_variable(source, name, tmp_path):
    path = write_yaml(tmp_path / "shop.yaml", SHOP | {"source": source})
    assert source_name(load_dataset(path, {"PLACE": "kunden_{period}"}), "2024-02") == name
