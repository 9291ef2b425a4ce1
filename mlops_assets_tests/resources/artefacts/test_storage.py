import hashlib
import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.errors import ModelError, StorageError
from mlops_assets.resources.artefacts.local import Storage
from mlops_assets_tests.warm import TRUE_PYTHON

TABLE = pa.table({"distance": [1.5, 2.0, None], "zone": pa.array(["a", "b", "a"]).dictionary_encode()})


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(tmp_path / "store")


def write_model(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "parts" / "weights.bin").write_bytes(bytes(range(100)))


def files_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_table_comes_back_as_it_was(storage):
    stored = storage.write_table("clean", "2024-01", TABLE)
    assert storage.read_table(stored.path).equals(TABLE)
    assert stored.path == f"clean/2024-01-{stored.digest[:12]}.parquet"
    assert stored.size == (storage.root / stored.path).stat().st_size
    assert storage.exists(stored.path)


KINDS = [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.date32()]
KINDS += [pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.duration("us"), pa.list_(pa.int64())]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_values_of_every_kind_come_back_as_they_were(storage, kind):
    values = [[1], None, [3, 4]] if pa.types.is_list(kind) else [1, None, 3]
    column = pa.array(["1", None, "3"] if kind == pa.string() else values)
    table = pa.table({"value": column.cast(pa.int32() if kind == pa.date32() else column.type).cast(kind)})
    assert storage.read_table(storage.write_table("clean", "m", table).path).equals(table)


def test_columns_come_in_the_order_asked_for(storage):
    stored = storage.write_table("clean", "2024-01", TABLE)
    assert storage.read_table(stored.path, ["zone", "distance"]).column_names == ["zone", "distance"]


def test_a_column_that_is_not_there_is_named(storage):
    stored = storage.write_table("clean", "2024-01", TABLE)
    with pytest.raises(StorageError, match=r"has no column fare \(it has distance, zone\)"):
        storage.read_table(stored.path, ["zone", "fare"])


def test_an_equal_table_gets_an_equal_name_however_it_was_put_together(storage):
    whole = pa.table({"distance": list(range(5_000))})
    pieces = pa.concat_tables([whole.slice(0, 700), whole.slice(700)])
    assert storage.write_table("clean", "m", whole) == storage.write_table("clean", "m", pieces)
    assert len(files_below(storage.root)) == 1


def test_rows_that_come_in_batches_are_one_table(storage):
    batches = [TABLE.slice(start, 1) for start in range(3)]
    stored = storage.write_batches("clean", "2024-01", TABLE.schema, iter(batches))
    assert storage.read_table(stored.path).equals(TABLE)
    assert storage.write_batches("clean", "2024-01", TABLE.schema, batches) == stored


def test_a_table_is_read_in_batches_of_the_columns_asked_for(storage):
    table = pa.table({"a": list(range(1_000)), "b": [str(n) for n in range(1_000)], "c": [0.5] * 1_000})
    stored = storage.write_table("clean", "2024-01", table)
    batches = list(storage.read_batches(stored.path, ["b", "a"], rows=300))
    assert [batch.num_rows for batch in batches] == [300, 300, 300, 100]
    assert pa.concat_tables(batches).equals(table.select(["b", "a"]))


def test_a_batch_that_fails_leaves_nothing_behind(storage):
    def batches():
        yield TABLE
        raise ModelError("no more")

    with pytest.raises(ModelError):
        storage.write_batches("clean", "2024-01", TABLE.schema, batches())
    assert files_below(storage.root) == []


def test_batches_of_a_damaged_table_are_told_before_the_first(storage):
    stored = storage.write_table("clean", "2024-01", TABLE)
    with (storage.root / stored.path).open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(StorageError, match="is damaged"):
        next(storage.read_batches(stored.path, ["zone"], rows=1))


def test_another_table_leaves_the_first_untouched(storage):
    first = storage.write_table("clean", "m", TABLE)
    second = storage.write_table("clean", "m", TABLE.slice(1))
    assert first.path != second.path
    assert storage.read_table(first.path).equals(TABLE)


def test_a_folder_comes_back_as_it_was(storage):
    stored = storage.write_folder("models", "Ridge", write_model)
    local = storage.local_folder(stored.path)
    assert files_below(local) == ["model.json", "parts/weights.bin"]
    assert (local / "parts" / "weights.bin").read_bytes() == bytes(range(100))
    assert stored.size == 102


def test_an_equal_folder_is_kept(storage):
    first = storage.write_folder("models", "Ridge", write_model)
    before = (storage.local_folder(first.path) / "model.json").stat().st_ino
    assert storage.write_folder("models", "Ridge", write_model) == first
    assert (storage.local_folder(first.path) / "model.json").stat().st_ino == before
    assert len(list((storage.root / "models").iterdir())) == 1


def test_names_of_files_count_in_a_folder_s_digest(storage):
    one = storage.write_folder("models", "m", lambda folder: (folder / "a").write_text("x"))
    other = storage.write_folder("models", "m", lambda folder: (folder / "b").write_text("x"))
    assert one.digest != other.digest


def test_many_writers_of_one_folder_leave_one(storage):
    with ThreadPoolExecutor(8) as pool:
        stored = set(pool.map(lambda _: storage.write_folder("models", "Ridge", write_model), range(40)))
    assert len(stored) == 1
    assert [path.name for path in (storage.root / "models").iterdir()] == [stored.pop().path.split("/")[1]]


def test_an_error_of_the_writer_passes_through_and_leaves_nothing(storage):
    def fail(folder: Path) -> None:
        write_model(folder)
        raise ModelError("the estimator cannot be saved")

    with pytest.raises(ModelError, match="cannot be saved"):
        storage.write_folder("models", "Ridge", fail)
    assert list((storage.root / "models").iterdir()) == []


@pytest.mark.parametrize("position", [0, 10, -1, -9])
def test_a_damaged_table_is_not_read(storage, position):
    stored = storage.write_table("clean", "m", TABLE)
    damaged = bytearray((storage.root / stored.path).read_bytes())
    damaged[position] ^= 1
    (storage.root / stored.path).write_bytes(damaged)
    with pytest.raises(StorageError, match=r"clean/m-\w+.parquet is damaged"):
        storage.read_table(stored.path)
    storage.write_table("clean", "m", TABLE)
    assert storage.read_table(stored.path).equals(TABLE)


def test_a_damaged_folder_is_not_opened_and_can_be_written_again(storage):
    stored = storage.write_folder("models", "Ridge", write_model)
    (storage.root / stored.path / "parts" / "weights.bin").unlink()
    with pytest.raises(StorageError, match=r"models/Ridge-\w+ is damaged"):
        storage.local_folder(stored.path)
    assert storage.write_folder("models", "Ridge", write_model) == stored
    assert files_below(storage.local_folder(stored.path)) == ["model.json", "parts/weights.bin"]


def test_a_file_that_is_no_parquet_is_said_so(storage):
    text = b"not a table"
    path = f"clean/m-{hashlib.sha256(text).hexdigest()[:12]}.parquet"
    (storage.root / "clean").mkdir(parents=True)
    (storage.root / path).write_bytes(text)
    with pytest.raises(StorageError, match="is not a Parquet file"):
        storage.read_table(path)


def test_what_is_not_there_is_an_error_that_says_what_to_do(storage):
    for read in (storage.read_table, storage.local_folder):
        with pytest.raises(StorageError, match="clean/m-0123456789ab.parquet does not exist: materialise"):
            read("clean/m-0123456789ab.parquet")
    assert not storage.exists("clean/m-0123456789ab.parquet")


@pytest.mark.parametrize("path", ["../outside", "a/../../b", "/etc/passwd", "a//b", ".hidden", "", "a/.tmp-1", "a\\b"])
def test_no_name_leaves_the_root(storage, path):
    calls = [
        lambda: storage.read_table(path),
        lambda: storage.local_folder(path),
        lambda: storage.exists(path),
        lambda: storage.write_table(path, "name", TABLE),
        lambda: storage.write_folder("folder", path, write_model),
        lambda: storage.prune(path, "name", []),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="cannot be part of an artefact's path"):
            call()
    assert not storage.root.exists()


def test_prune_keeps_what_it_is_told_and_what_has_another_name(storage):
    old, kept = (storage.write_table("clean", "m", TABLE.slice(start)) for start in (0, 1))
    other = storage.write_table("clean", "m-2", TABLE)
    model = storage.write_folder("clean", "m", write_model)
    storage.prune("clean", "m", keep=[kept.path])
    assert [storage.exists(item.path) for item in (old, kept, other, model)] == [False, True, True, False]
    assert len(list((storage.root / "clean").iterdir())) == 2


def test_prune_removes_only_old_remains_of_writers(storage):
    storage.write_table("clean", "m", TABLE)
    for name in (".tmp-old", ".tmp-new"):
        (storage.root / "clean" / name).mkdir()
    os.utime(storage.root / "clean" / ".tmp-old", (0, 0))
    storage.prune("clean", "other", keep=[])
    names = [path.name for path in (storage.root / "clean").iterdir()]
    assert ".tmp-new" in names
    assert ".tmp-old" not in names


def test_pruning_a_folder_that_is_not_there_does_nothing(storage):
    storage.prune("clean", "m", keep=[])
    assert not storage.root.exists()


START = """
import os, signal
from pathlib import Path
import numpy, pyarrow as pa
from mlops_assets.resources.artefacts.local import Storage
storage = Storage(Path({root!r}))
numbers = numpy.random.default_rng(0).random(500_000)
"""
WRITES = {
    "table": "storage.write_table('clean', 'm', pa.table({'x': numbers}))",
    "folder": "storage.write_folder('clean', 'm', lambda folder: (folder / 'm.bin').write_bytes(numbers))",
}


def in_subprocess(root: Path, code: str, **options) -> tuple[int, str]:
    """Exit code and error output of a process that runs `code`."""
    command = [TRUE_PYTHON, "-c", START.format(root=str(root)) + code]
    process = subprocess.run(command, stderr=subprocess.PIPE, text=True, **options)
    return process.returncode, process.stderr


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


@pytest.mark.parametrize("what", WRITES)
def test_a_file_that_cannot_grow_is_a_storage_error_and_leaves_nothing(storage, what):
    stored = storage.write_table("clean", "m", TABLE)
    code, message = in_subprocess(storage.root, WRITES[what], preexec_fn=limit_file_size)
    assert code == 1
    assert "StorageError: clean/m cannot be written: File too large" in message
    assert files_below(storage.root) == [stored.path]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB; only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_a_storage_error_and_the_last_good_artefact_stays(small_disk):
    storage = Storage(small_disk / "store")
    stored = storage.write_table("clean", "m", TABLE)
    too_much = pa.table({"x": np.random.default_rng(0).random(500_000)})
    message = r"^clean/m cannot be written: the disk at \S*/disk is full \(2 MB free\): make room"
    with pytest.raises(StorageError, match=message):
        storage.write_table("clean", "m", too_much)
    with pytest.raises(StorageError, match=message):
        storage.write_folder("clean", "m", lambda folder: (folder / "m.bin").write_bytes(bytes(4_000_000)))
    assert files_below(storage.root) == [stored.path]
    assert storage.read_table(stored.path).equals(TABLE)


@pytest.mark.parametrize(
    ("what", "step"),
    [("table", "os.fsync"), ("table", "os.replace"), ("folder", "os.fsync"), ("folder", "os.rename")],
)
def test_a_writer_killed_at_any_step_leaves_no_half_artefact(storage, what, step):
    kill = f"{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    code, _ = in_subprocess(storage.root, kill + WRITES[what])
    assert code == -9
    left = [path.name for path in (storage.root / "clean").iterdir()]
    assert [name[:5] for name in left] == [".tmp-"]
    stored = storage.write_table("clean", "m", TABLE)
    assert storage.read_table(stored.path).equals(TABLE)


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="clean/m cannot be written: Not a directory"):
        Storage(tmp_path / "file").write_table("clean", "m", TABLE)
