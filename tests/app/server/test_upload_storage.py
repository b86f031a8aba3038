"""Uploads of Streamlit's manager lie in files that go with them."""

import copy
import gc

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from app.server import upload_storage
from app.server.upload_storage import SMALL_BYTES, on_disk, rest


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(upload_storage, "REST_SECONDS", -1.0)


def _manager(folder):
    manager = MemoryUploadedFileManager("/upload")
    manager.file_storage = on_disk(folder)
    return manager


def _record(number, data):
    return UploadedFileRec(number, f"{number}.csv", "text/csv", data)


def test_a_file_is_read_as_it_came_and_lies_on_the_disk(tmp_path):
    manager, large = _manager(tmp_path), bytes(range(256)) * 1000
    assert len(large) > SMALL_BYTES
    for number, data in {"large": large, "small": b"a,b", "empty": b""}.items():
        manager.add_file("one", _record(number, data))
    rest(manager.file_storage)
    for number, data in {"large": large, "small": b"a,b", "empty": b""}.items():
        (record,) = manager.get_files("one", [number])
        file = UploadedFile(record, FileURLs())
        assert (file.read(), file.size, file.name, record.size) == (
            data,
            len(data),
            f"{number}.csv",
            len(data),
        )
        assert file.getvalue() is record.data  # not a copy
    rest(manager.file_storage)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [large]
    assert manager.file_storage["one"]["large"]._data is None


def test_what_a_page_works_with_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(upload_storage, "REST_SECONDS", 1000.0)
    manager, large = _manager(tmp_path), bytes(2 * SMALL_BYTES)
    manager.add_file("one", _record("a", large))
    rest(manager.file_storage)
    assert manager.get_files("one", ["a"])[0].data is large and list(tmp_path.iterdir()) == []


def test_copies_share_the_bytes_and_not_the_place_in_them(tmp_path):
    upload_storage.share_copies()
    manager = _manager(tmp_path)
    manager.add_file("one", _record("a", b"0123456789"))
    file = UploadedFile(manager.get_files("one", ["a"])[0], FileURLs())
    file.read(3)
    copied = copy.deepcopy(file)
    assert (
        copied == file
        and copied.getvalue() is file.getvalue()
        and (copied.name, copied.size) == ("a.csv", 10)
    )
    assert (copied.read(2), file.read(2), copied.read()) == (b"34", b"34", b"56789")


def test_files_go_with_their_records(tmp_path):
    manager, large = _manager(tmp_path), bytes(2 * SMALL_BYTES)
    for number in ("a", "b", "c"):
        manager.add_file("one", _record(number, large))
    manager.add_file("two", _record("a", large))
    manager.add_file("two", _record("a", large[1:]))  # in the place of the one before
    rest(manager.file_storage)
    gc.collect()
    assert len(list(tmp_path.iterdir())) == 4
    manager.remove_file("one", "a")
    gc.collect()
    assert len(list(tmp_path.iterdir())) == 3
    manager.remove_session_files("one")
    gc.collect()
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [len(large) - 1]
    assert manager.get_files("one", ["b"]) == []
    manager.remove_session_files("two")
    gc.collect()
    assert list(tmp_path.iterdir()) == [] and manager._total_bytes == 0


def test_a_file_that_cannot_be_written_stays_in_memory(tmp_path, monkeypatch, caplog):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upload_storage.tempfile, "mkstemp", full)
    manager, large = _manager(tmp_path), b"x" * 2 * SMALL_BYTES
    manager.add_file("one", _record("a", large))
    rest(manager.file_storage)
    assert manager.get_files("one", ["a"])[0].data == large
    assert "No space left" in caplog.text
