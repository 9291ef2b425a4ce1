"""Arrays that grow on disk are those that NumPy would have written at once."""

import numpy as np
import pytest

from mlops_assets.core.matrix_files import ArrayFile


@pytest.mark.parametrize(("dtype", "width"), [(np.float64, None), (np.float32, 3), (np.int64, None)])
@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_rows_appended_make_the_bytes_of_the_same_rows_saved(tmp_path, dtype, width, rows):
    whole = np.arange(rows * (width or 1)).astype(dtype).reshape((rows, width) if width else rows)
    with ArrayFile(tmp_path / "grown.npy", dtype, width) as file:
        for start in range(0, rows, 300):
            file.append(whole[start : start + 300])
    np.save(tmp_path / "saved.npy", whole)
    assert file.rows == rows
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


def test_rows_of_another_layout_are_written_in_their_order(tmp_path):
    rows = np.arange(12.0).reshape(3, 4).T[::-1]
    with ArrayFile(tmp_path / "grown.npy", np.float32, 3) as file:
        file.append(rows)
    np.testing.assert_array_equal(np.load(tmp_path / "grown.npy"), rows.astype(np.float32))
