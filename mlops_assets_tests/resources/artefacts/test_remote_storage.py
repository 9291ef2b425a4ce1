"""Artefacts in an object store behave as those on disk, from several machines, each with copies of its own."""

import os
import sys

import pyarrow as pa
import pytest

from mlops_assets.errors import ModelError, SettingsError, StorageError, StorageUnreachable
from mlops_assets.resources.artefacts.object_folder import ObjectFolder
from mlops_assets.resources.artefacts.remote import RemoteStorage
from mlops_assets_tests.servers import free_port

TABLE = pa.table({"distance": [1.5, 2.0, None], "zone": pa.array(["a", "b", "a"]).dictionary_encode()})


s3fs = pytest.importorskip("s3fs", reason="the extra s3 is not installed")


@pytest.fixture
def objects(bucket) -> ObjectFolder:
    return ObjectFolder(f"{bucket}/some/prefix")


@pytest.fixture
def machine(objects, tmp_path):
    """A function that gives the storage as a machine sees it that has its own folder of copies."""
    return lambda name: RemoteStorage(objects, tmp_path / name)


@pytest.fixture
def storage(machine) -> RemoteStorage:
    return machine("here")


def write_model(folder) -> None:
    (folder / "parts").mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "parts" / "weights.bin").write_bytes(bytes(range(100)))


def everything(objects):
    found = objects._system.find(objects._key(""))
    return sorted(path.partition("some/prefix/")[2] for path in found)


def test_a_table_that_one_machine_wrote_is_read_by_another(storage, machine):
    stored = storage.write_table("clean", "2024-01", TABLE)
    there = machine("there")
    assert there.exists(stored.path)
    assert there.read_table(stored.path).equals(TABLE)
    assert there.read_table(stored.path, ["zone"]).column_names == ["zone"]


def test_names_are_those_of_a_local_storage(storage, objects):
    stored = storage.write_table("clean", "2024-01", TABLE)
    assert stored.path == f"clean/2024-01-{stored.digest[:12]}.parquet"
    assert everything(objects) == [stored.path]


def test_batches_go_there_and_come_back(storage, machine):
    stored = storage.write_batches("clean", "m", TABLE.schema, (TABLE.slice(start, 1) for start in range(3)))
    batches = list(machine("there").read_batches(stored.path, ["distance"], rows=2))
    assert [batch.num_rows for batch in batches] == [2, 1]


def test_a_folder_that_one_machine_wrote_is_opened_by_another(storage, machine):
    stored = storage.write_folder("models", "Ridge", write_model)
    local = machine("there").local_folder(stored.path)
    assert (local / "parts" / "weights.bin").read_bytes() == bytes(range(100))
    assert stored.size == 102


def test_what_was_used_here_is_not_fetched_again(storage, machine, objects):
    stored = storage.write_table("clean", "m", TABLE)
    there = machine("there")
    there.read_table(stored.path)
    objects.remove([stored.path])
    assert there.read_table(stored.path).equals(TABLE)
    assert not there.exists(stored.path)


def test_a_damaged_copy_is_fetched_again(storage):
    stored = storage.write_table("clean", "m", TABLE)
    (storage._copies.root / stored.path).write_bytes(b"damage")
    assert storage.read_table(stored.path).equals(TABLE)
    model = storage.write_folder("models", "m", write_model)
    (storage._copies.root / model.path / "model.json").unlink()
    assert (storage.local_folder(model.path) / "model.json").read_text() == "{}"


def test_an_artefact_that_is_damaged_in_the_store_is_not_read(storage, machine, objects):
    stored = storage.write_table("clean", "m", TABLE)
    objects.write(stored.path, b"damage")
    with pytest.raises(StorageError, match=r"clean/m-\w+.parquet is damaged"):
        machine("there").read_table(stored.path)


def test_a_folder_whose_writer_was_killed_before_its_list_is_not_there(storage, machine, objects):
    stored = storage.write_folder("models", "m", write_model)
    objects.remove([f"{stored.path}.files"])
    there = machine("there")
    assert not there.exists(stored.path)
    with pytest.raises(StorageError, match="does not exist: materialise the asset that makes it again"):
        there.local_folder(stored.path)
    assert there.write_folder("models", "m", write_model) == stored
    assert storage.exists(stored.path)


def test_an_error_of_the_writer_leaves_nothing(storage, objects):
    def fail(folder) -> None:
        write_model(folder)
        raise ModelError("the estimator cannot be saved")

    with pytest.raises(ModelError):
        storage.write_folder("models", "m", fail)
    assert everything(objects) == []


def test_prune_keeps_what_it_is_told_and_what_has_another_name(storage, objects):
    old, kept = (storage.write_table("clean", "m", TABLE.slice(start)) for start in (0, 1))
    other = storage.write_table("clean", "m-2", TABLE)
    model = storage.write_folder("clean", "m", write_model)
    storage.prune("clean", "m", keep=[kept.path])
    assert [storage.exists(item.path) for item in (old, kept, other, model)] == [False, True, True, False]
    assert everything(objects) == sorted([kept.path, other.path])


def test_prune_leaves_a_folder_that_is_being_written(storage, objects):
    objects.write("models/m-0123456789ab/part", b"more to come")
    storage.prune("models", "m", keep=[])
    assert everything(objects) == ["models/m-0123456789ab/part"]


def test_pruning_where_nothing_is_does_nothing(storage):
    storage.prune("clean", "m", keep=[])


def test_copies_of_older_artefacts_go_a_week_later(storage, machine):
    there = machine("there")
    old, recent, new = (storage.write_table("clean", "m", TABLE.slice(start)) for start in (0, 1, 2))
    for stored in (old, recent):
        there.read_table(stored.path)
    os.utime(there._copies.root / old.path, (0, 0))
    there.read_table(new.path)
    copies = {path.name for path in (there._copies.root / "clean").iterdir()}
    assert copies == {recent.path.rpartition("/")[2], new.path.rpartition("/")[2]}


@pytest.mark.parametrize("path", ["../outside", "a/../../b", "/etc/passwd", "a//b", ".hidden", ""])
def test_no_name_leaves_the_prefix(storage, path):
    for call in (storage.read_table, storage.local_folder, storage.exists, lambda p: storage.prune(p, "m", [])):
        with pytest.raises(StorageError, match="cannot be part of an artefact's path"):
            call(path)


def test_a_bucket_that_is_not_there_is_told(s3, tmp_path):
    storage = RemoteStorage(ObjectFolder("s3://no-such-bucket-here/prefix"), tmp_path)
    with pytest.raises(StorageError, match="no-such-bucket-here/prefix does not exist \\(MLOPS_STORAGE\\)"):
        storage.write_table("clean", "m", TABLE)


def test_a_store_that_does_not_answer_is_told_and_worth_a_retry(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "_cache", {})  # in which a connection to the right address is
    storage = RemoteStorage(ObjectFolder("s3://another-bucket/prefix"), tmp_path)
    with pytest.raises(StorageUnreachable, match="s3://another-bucket/prefix gave no usable answer"):
        storage.exists("clean/m-0123456789ab.parquet")


def test_a_store_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SettingsError, match=r"pip install 'mlops-assets\[gcs\]'"):
        ObjectFolder("gs://bucket/prefix").exists("key")


def test_the_check_writes_and_reads(objects):
    assert objects.check().endswith(objects.url)
    assert everything(objects) == []
