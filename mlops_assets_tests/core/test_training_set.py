"""The shared training set: the tutorial's published counts, the same bytes twice, and damage that is told."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import mlops_assets
from mlops_assets.core.columns import slices
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.prepare.cleaning import TARGET, clean
from mlops_assets.core.prepare.splitting import SPLITS, Evenly, Periods, choose_periods
from mlops_assets.core.training_set import Rows, TrainingSet, divide, join, split_rows, write_training_set
from mlops_assets.dataset import DatasetSpec, Window, load_dataset
from mlops_assets.errors import DataError, ModelError, StorageError
from mlops_assets_tests.tiny import TINY, random_columns

TAXI = load_dataset("nyc_green_taxi", {})
TUTORIAL = DatasetSpec.model_validate(
    TAXI.model_dump()
    | {
        "time": {"column": "pickup_at", "first": "2024-01", "keep_other_periods": True},
        "features": {"numeric": {"distance": {}}, "pairs": [["pickup_zone", "dropoff_zone"]]},
        "window": {"train_periods": 1, "validation_periods": 1, "test_periods": 0},
    }
)
FLIGHTS = load_dataset("nyc_flights", {})
PROJECT = Path(mlops_assets.__file__).parents[1]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def tables_of(columns, periods=("2024-01", "2024-02")):
    """Clean tables of the tiny spec, one a period."""
    period = columns["at"].astype("datetime64[M]").astype(str)
    names = {**columns, TARGET: columns["price"]}
    return [pa.table({name: values[period == m] for name, values in names.items()}) for m in periods]


@pytest.fixture
def written(tmp_path, make_spec, make_columns):
    """A small written training set: its folder, spec, rows by split and periods."""
    spec = make_spec(window={"test_periods": 0})
    periods = choose_periods(["2024-01", "2024-02"], spec.window)
    parts = split_rows(spec, tables_of(make_columns(400)), periods, seed=7)
    write_training_set(tmp_path, spec, [parts], periods, seed=7)
    return tmp_path, spec, parts, periods


def test_free_text_is_no_category(tmp_path, make_spec, make_columns):
    spec = make_spec(window={"test_periods": 0})
    columns = make_columns(400)
    columns["town"] = np.array([f"{number} {'word ' * 15}" for number in range(400)], object)
    periods = choose_periods(["2024-01", "2024-02"], spec.window)
    parts = split_rows(spec, tables_of(columns), periods, seed=7)
    told = r"columns.town is no category: \d+ texts of 7\d characters .* such as `\d+ word .*`; take it out of features"
    with pytest.raises(DataError, match=told):
        write_training_set(tmp_path, spec, [parts], periods, seed=7)


def test_the_tutorials_published_counts_come_out_exactly(tmp_path, taxi_month):
    periods = choose_periods(["2024-01", "2024-02"], TUTORIAL.window)
    raw = [taxi_month(TUTORIAL, period) for period in periods.all]
    cleaned = [clean(TUTORIAL, table, period).table for table, period in zip(raw, periods.all, strict=True)]
    assert sum(table.num_rows for table in raw) == 110_128
    assert sum(table.num_rows for table in cleaned) == 105_870

    parts = split_rows(TUTORIAL, cleaned, periods, seed=7)
    write_training_set(tmp_path, TUTORIAL, [parts], periods, seed=7)
    training_set = TrainingSet.load(tmp_path)
    assert training_set.matrix("one_hot", "train").shape == (54_378, 5_094)
    assert training_set.matrix("one_hot", "validation").shape == (51_492, 5_094)
    assert training_set.matrix("one_hot", "test").shape == (0, 5_094)

    everything = join([parts["train"], parts["validation"]])
    assert fit_encoder(TUTORIAL.features, everything.columns, everything.y, seed=7).one_hot.shape == (105_870, 7_027)


def test_the_same_rows_and_seed_give_the_same_bytes_of_every_file(tmp_path, flights):
    periods = Periods(("2013-01",), ("2013-02",), ("2013-03",))
    period = flights["departure_at"].to_numpy().astype("datetime64[M]").astype(str)
    for folder in ("first", "second"):
        tables = [clean(FLIGHTS, flights.filter(pa.array(period == m)), m).table for m in periods.all]
        (tmp_path / folder).mkdir()
        write_training_set(tmp_path / folder, FLIGHTS, [split_rows(FLIGHTS, tables, periods, 7)], periods, seed=7)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    assert len(digests(tmp_path / "first")) == 7 + 5 * len(SPLITS)


WRITE_ELSEWHERE = """
import sys
from pathlib import Path
from pathlib import Path
import pyarrow.feather as feather
from mlops_assets.core.prepare.splitting import choose_periods
from mlops_assets.core.training_set import split_rows, write_training_set
from mlops_assets.dataset import DatasetSpec
folder = Path(sys.argv[1])
spec = DatasetSpec.model_validate_json((folder / "spec.json").read_text())
periods = choose_periods(["2024-01", "2024-02"], spec.window)
tables = [feather.read_table(folder / f"{period}.feather") for period in periods.all]
(folder / "out").mkdir()
write_training_set(folder / "out", spec, [split_rows(spec, tables, periods, 7)], periods, 7)
"""


def test_another_process_with_another_hash_seed_writes_the_same_bytes(written, tmp_path_factory, make_columns):
    import pyarrow.feather as feather

    folder, spec, _, periods = written
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "spec.json").write_text(spec.model_dump_json())
    for period, table in zip(periods.all, tables_of(make_columns(400)), strict=True):
        feather.write_feather(table, elsewhere / f"{period}.feather")
    env = os.environ | {"PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", WRITE_ELSEWHERE, str(elsewhere)], cwd=PROJECT, env=env, check=True)
    assert digests(elsewhere / "out") == digests(folder)


def test_another_seed_changes_only_what_is_out_of_fold(written, tmp_path_factory):
    folder, spec, parts, periods = written
    other = tmp_path_factory.mktemp("other_seed")
    write_training_set(other, spec, [parts], periods, seed=8)
    changed = {name for name, digest in digests(folder).items() if digests(other)[name] != digest}
    assert changed == {"train_dense.npy"}


def test_targets_of_validation_rows_change_nothing_but_their_own_file(written, tmp_path_factory):
    folder, spec, parts, periods = written
    other = tmp_path_factory.mktemp("other_targets")
    validation = Rows(parts["validation"].columns, parts["validation"].y * 100)
    write_training_set(other, spec, [parts | {"validation": validation}], periods, seed=7)
    changed = {name for name, digest in digests(folder).items() if digests(other)[name] != digest}
    assert changed == {"validation_y.npy"}


def in_batches(spec, columns, periods, rows=70):
    return [divide(spec, part, periods, 7) for table in tables_of(columns) for part in slices(table, rows)]


def test_rows_in_batches_give_the_bytes_of_the_same_rows_at_once(written, tmp_path_factory, make_columns):
    folder, spec, _, periods = written
    batches = in_batches(spec, make_columns(400), periods)
    other = tmp_path_factory.mktemp("in_batches")
    write_training_set(other, spec, batches, periods, seed=7)
    assert len(batches) > 4
    assert digests(other) == digests(folder)


def test_an_encoder_learns_from_an_even_share_and_encodes_every_row(written, tmp_path_factory, make_columns):
    folder, spec, parts, periods = written
    batches = in_batches(spec, make_columns(400), periods)
    other = tmp_path_factory.mktemp("thinned")
    write_training_set(other, spec, batches, periods, seed=7, share=0.25)
    whole, thinned = TrainingSet.load(folder), TrainingSet.load(other)
    assert thinned.rows == whole.rows
    chosen = Evenly(0.25).choose(whole.rows["train"])
    assert np.count_nonzero(chosen) == -(-whole.rows["train"] // 4)
    train = parts["train"].take(chosen)
    fitted = fit_encoder(spec.features, train.columns, train.y, seed=7)
    others = fitted.encoder.transform(spec.features, parts["train"].take(~chosen).columns, "dense")
    for name in ("train", "validation"):
        np.testing.assert_array_equal(thinned.target(name), whole.target(name))
    np.testing.assert_array_equal(thinned.matrix("dense", "train")[chosen], fitted.dense)
    np.testing.assert_array_equal(thinned.matrix("dense", "train")[~chosen], others)
    one_hot = fitted.encoder.transform(spec.features, parts["train"].columns, "one_hot")
    np.testing.assert_array_equal(thinned.matrix("one_hot", "train").toarray(), one_hot.toarray())


def test_a_loaded_training_set_gives_the_rows_that_were_written(written):
    folder, spec, parts, periods = written
    training_set = TrainingSet.load(folder)
    fitted = fit_encoder(spec.features, parts["train"].columns, parts["train"].y, seed=7)
    assert training_set.periods == periods
    assert training_set.rows == {name: len(parts[name]) for name in SPLITS}
    assert training_set.one_hot_names == fitted.encoder.one_hot_names
    assert training_set.dense_names == fitted.encoder.dense_names
    assert training_set.categorical == fitted.encoder.dense_categorical
    np.testing.assert_array_equal(training_set.matrix("dense", "train"), fitted.dense)
    np.testing.assert_array_equal(training_set.matrix("one_hot", "train").toarray(), fitted.one_hot.toarray())
    np.testing.assert_array_equal(training_set.target("validation"), parts["validation"].y)


def test_most_gives_rows_spread_evenly_over_the_split_in_every_array(written):
    training_set = TrainingSet.load(written[0])
    count = training_set.rows["train"]
    spread = [0, count // 5, 2 * count // 5, 3 * count // 5, 4 * count // 5]
    np.testing.assert_array_equal(training_set.target("train", 5), training_set.target("train")[spread])
    dense = training_set.matrix("dense", "train", 5)
    np.testing.assert_array_equal(dense, training_set.matrix("dense", "train")[spread])
    one_hot = training_set.matrix("one_hot", "train", 5).toarray()
    np.testing.assert_array_equal(one_hot, training_set.matrix("one_hot", "train").toarray()[spread])
    assert len(training_set.target("train", 10**9)) == count


def test_rows_of_which_nothing_is_known_are_written_and_read(tmp_path, make_spec, make_columns):
    spec = make_spec(features={"categorical": ["town"]}, window={"test_periods": 0})
    columns = make_columns(200)
    periods = choose_periods(["2024-01", "2024-02"], spec.window)
    parts = split_rows(spec, tables_of(columns), periods, seed=7)
    parts["validation"].columns["town"][:] = "Elsewhere"
    write_training_set(tmp_path, spec, [parts], periods, seed=7)
    training_set = TrainingSet.load(tmp_path)
    assert training_set.matrix("one_hot", "validation").nnz == 0
    assert np.isnan(training_set.matrix("dense", "validation")).all()


def test_rows_are_split_by_their_own_time_wherever_they_were_filed(make_spec, make_columns):
    spec = make_spec(window={"test_periods": 0})
    january, february = tables_of(make_columns(300))
    periods = choose_periods(["2024-01", "2024-02"], spec.window)
    in_order = split_rows(spec, [january, february], periods, seed=7)
    misfiled = split_rows(spec, [february, january], periods, seed=7)
    assert sorted(in_order["train"].y) == sorted(misfiled["train"].y)
    assert (in_order["train"].columns["at"] < np.datetime64("2024-02-01")).all()
    assert (in_order["validation"].columns["at"] >= np.datetime64("2024-02-01")).all()


def test_a_split_without_rows_is_named_with_its_periods(make_spec, make_columns):
    spec = make_spec(window={"test_periods": 0})
    january, _ = tables_of(make_columns(300))
    periods = choose_periods(["2024-01", "2024-02"], spec.window)
    with pytest.raises(DataError, match=r"validation split \(2024-02\)"):
        split_rows(spec, [january], periods, seed=7)


def test_a_snapshot_is_split_by_its_key_and_a_row_stays_when_others_come(make_spec, make_columns):
    columns = make_columns(2_000)
    columns["zone"] = np.arange(2_000.0)
    spec = make_spec(source={"kind": "files", "uri": "all.csv"}, time=None, key=["zone"])
    periods = choose_periods(["snapshot"], spec.window)

    def sides(rows):
        table = pa.table({name: values[rows] for name, values in (columns | {TARGET: columns["price"]}).items()})
        parts = split_rows(spec, [table], periods, seed=7)
        return {zone: name for name, part in parts.items() for zone in part.columns["zone"]}

    all_rows, some = sides(np.arange(2_000)), sides(np.random.default_rng(1).permutation(2_000)[:700])
    assert some == {zone: all_rows[zone] for zone in some}
    shares = [sum(side == name for side in all_rows.values()) / 2_000 for name in SPLITS]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.03)


@pytest.mark.parametrize("damage", ["gone", "empty", "half"])
def test_every_damaged_file_is_told_as_such(written, damage):
    folder = written[0]
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        path.unlink() if damage == "gone" else path.write_bytes(
            b"" if damage == "empty" else content[: len(content) // 2]
        )
        with pytest.raises(StorageError, match="materialise training_set again"):
            training_set = TrainingSet.load(folder)
            assert training_set.looked.levels.ndim == 2
            for name in ("train", "validation", "test"):
                training_set.target(name), training_set.matrix("dense", name), training_set.matrix("one_hot", name)
        path.write_bytes(content)


def test_rows_of_a_group_are_on_one_side_whatever_their_time():
    spec = DatasetSpec.model_validate(TINY | {"split": {"groups": ["zone"]}})
    periods = choose_periods(["2024-01", "2024-02"], Window(train_periods=1, validation_periods=1, test_periods=0))
    rng = np.random.default_rng(3)
    columns = random_columns(4_000) | {"zone": rng.integers(0, 200, 4_000).astype(float)}
    columns["at"] = np.datetime64("2024-01-01", "us") + rng.integers(0, 59 * 86_400, 4_000).astype("timedelta64[s]")
    parts = split_rows(spec, tables_of(columns), periods, seed=7)
    sides = [set(parts[name].columns["zone"]) for name in ("train", "validation")]
    assert not sides[0] & sides[1] and min(map(len, sides)) > 15
    assert parts["train"].times.max() < np.datetime64("2024-02-01") <= parts["validation"].times.min()
    assert not len(parts["test"])


def test_a_rare_class_of_a_snapshot_is_on_every_side_by_its_share():
    source, target = {"kind": "files", "uri": "a.csv"}, {"column": "price", "above": 100}
    changes = {"time": None, "source": source, "target": target, "features": {"categorical": ["zone"]}, "key": ["id"]}
    spec = DatasetSpec.model_validate(TINY | changes | {"columns": TINY["columns"] | {"id": {"type": "integer"}}})
    number = np.arange(1_000)
    columns = random_columns(1_000) | {"id": number, "price": (number % 50 == 0).astype(float)}
    columns["at"] = np.full(1_000, np.datetime64("2024-01-01", "us"))
    parts = split_rows(spec, tables_of(columns), choose_periods(["snapshot"], spec.window), seed=7)
    assert [(len(rows), int(rows.y.sum())) for rows in parts.values()] == [(700, 14), (150, 3), (150, 3)]


def test_a_snapshot_may_be_split_by_its_groups():
    source = {"kind": "files", "uri": "a.csv"}
    spec = DatasetSpec.model_validate(TINY | {"time": None, "source": source, "split": {"groups": ["zone"]}})
    columns = random_columns(4_000) | {"zone": np.random.default_rng(3).integers(0, 200, 4_000).astype(float)}
    parts = split_rows(spec, tables_of(columns), choose_periods(["snapshot"], spec.window), seed=7)
    sides = [set(rows.columns["zone"]) for rows in parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 200
    assert min(map(len, sides)) > 10


def test_one_that_was_written_by_an_earlier_release_is_read(written):
    about = json.loads((written[0] / "about.json").read_text())
    about["months"] = about.pop("periods")  # until 0.1
    (written[0] / "about.json").write_text(json.dumps(about))
    assert TrainingSet.load(written[0]).periods == written[3]


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"periods": {"autumn": []}}', '"about"'])
def test_a_foreign_index_of_a_training_set_is_told_as_damage(written, text):
    (written[0] / "about.json").write_text(text)
    with pytest.raises(StorageError, match="materialise training_set again"):
        TrainingSet.load(written[0])


def test_a_damaged_encoder_by_itself_is_a_model_error(written):
    from mlops_assets.core.features.encoder import Encoder

    (written[0] / "encoder.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(ModelError, match="encoder is damaged"):
        Encoder.load(written[0])
