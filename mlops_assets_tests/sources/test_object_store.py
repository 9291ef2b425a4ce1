"""Files behind fsspec URLs, with fsspec's file system in memory."""

import fsspec
import pytest

from mlops_assets.errors import BadTable, NotPublished, SourceError, SourceUnreachable


@pytest.fixture
def store():
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def source(make_spec, open_rows, store):
    return open_rows(make_spec({"kind": "files", "uri": "memory://trips/{period}.csv"}))


def test_periods_of_a_store_are_found_and_read(source, store, trips):
    store.pipe("/trips/2024-01.csv", trips.encode())
    assert list(source.partitions()) == ["2024-01"]
    assert source.read("2024-01").num_rows == 2


def test_a_period_that_arrives_later_is_seen(source, store, trips):
    assert source.partitions() == {}
    with pytest.raises(NotPublished, match="period 2024-02 is not published"):
        source.read("2024-02")
    store.pipe("/trips/2024-02.csv", trips.encode())
    assert source.read("2024-02").num_rows == 2


def test_an_unchanged_file_is_copied_once_and_a_changed_one_anew(source, store, tmp_path, monkeypatch, trips):
    opened = []
    real = type(store).open
    monkeypatch.setattr(type(store), "open", lambda self, *a, **k: opened.append(1) or real(self, *a, **k))
    store.pipe("/trips/2024-01.csv", trips.encode())
    opened.clear()
    first = source.partitions()
    assert source.read("2024-01").num_rows == source.read("2024-01").num_rows == 2
    assert len(opened) == 1
    store.pipe("/trips/2024-01.csv", trips.encode() + b"2024-01-09,5,1,c,z\n")
    assert source.partitions() != first
    assert source.read("2024-01").num_rows == 3
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_damaged_copy_is_not_kept(source, store, tmp_path):
    store.pipe("/trips/2024-01.csv", b"")
    with pytest.raises(BadTable, match="period 2024-01 cannot be read: the file is empty"):
        source.read("2024-01")
    assert list((tmp_path / "cache").iterdir()) == []


def test_errors_of_a_stores_own_kind_are_unreachable(source, store, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("endpoint trips.secret.example")

    monkeypatch.setattr(type(store), "info", refuse)
    with pytest.raises(SourceUnreachable, match=r"period 2024-01: the store gave no usable answer \(RuntimeError\)"):
        source.read("2024-01")


def test_a_store_that_denies_every_period_is_an_error(source, store, monkeypatch):
    def deny(*_, **__):
        raise PermissionError

    monkeypatch.setattr(type(store), "info", deny)
    with pytest.raises(SourceError, match="denies access to every period from 2024-01 to 2024-03"):
        source.partitions()


def test_an_unknown_scheme_asks_for_a_package(make_spec, open_rows):
    with pytest.raises(SourceError, match="needs an fsspec package that is not installed"):
        open_rows(make_spec({"kind": "files", "uri": "gopher9://trips/{period}.csv"}))
