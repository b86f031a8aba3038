"""The audit log: one line an event, for its owner alone, bounded, whatever stands in a name; and private folders."""

import io
import json
import stat

import pytest

from app.server import audit, folders, limits
from opendiff.errors import SourceError


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv("OPENDIFF_SHARED", "1")
    monkeypatch.setattr(limits, "user", lambda: "ada")


def lines(folder):
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


def test_one_line_an_event(library_folder, shared):
    work = "a" * 32
    audit.log("saved", work, scenario="1" * 16, name='x"\n{"event": "forged"}' + "y" * 999)
    make = audit.logged(lambda: b"data", "exported", work, file="plan.gpkg")
    assert [line["event"] for line in lines(library_folder)] == ["saved"]
    assert make() == b"data"
    saved, exported = lines(library_folder)
    assert saved["who"] == exported["who"] == "ada" and saved["work"] == exported["work"] != work[:16]
    assert (
        saved["time"] <= exported["time"]
        and exported["file"] == "plan.gpkg"
        and len(saved["name"]) == audit.MAX_TEXT
    )
    path = library_folder / "audit.jsonl"
    assert work not in path.read_text() and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_export_that_fails_is_none(library_folder, shared):
    with pytest.raises(ZeroDivisionError):
        audit.logged(lambda: 1 / 0, "exported", "a" * 32)()
    assert not (library_folder / "audit.jsonl").exists()


def test_who_it_is_where_no_proxy_says_so(library_folder, monkeypatch):
    audit.log("saved", "a" * 32)
    monkeypatch.setenv("OPENDIFF_SHARED", "1")
    audit.log("saved", "a" * 32)
    one, two = lines(library_folder)
    assert (
        one["who"] == "local"
        and two["who"].startswith("session ")
        and "address" in two
        and "address" not in one
    )


def test_it_does_not_grow_without_end(library_folder, monkeypatch):
    monkeypatch.setattr(audit, "MAX_BYTES", 400)
    for number in range(60):
        audit.log("saved", "a" * 32, scenario=str(number))
    files = sorted(path.name for path in library_folder.glob("audit*"))
    assert files == ["audit.1.jsonl", "audit.2.jsonl", "audit.3.jsonl", "audit.4.jsonl", "audit.jsonl"]
    assert all(path.stat().st_size <= 400 for path in library_folder.glob("audit*"))
    newest, older = lines(library_folder), (library_folder / "audit.1.jsonl").read_text().splitlines()
    assert newest[-1]["scenario"] == "59"
    assert int(json.loads(older[-1])["scenario"]) == int(newest[0]["scenario"]) - 1


def test_a_full_disk_stops_nobody(library_folder, monkeypatch, caplog):
    library_folder.parent.mkdir(exist_ok=True)
    library_folder.write_text("a file where the folder should be")
    audit.log("deleted", "a" * 32, scenario="1")
    assert "audit log cannot be written" in caplog.text and '"deleted"' in caplog.text


def test_what_an_earlier_version_left_open_is_closed(library_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    outside = tmp_path / "outside"
    outside.write_text("not of the library")
    outside.chmod(0o644)
    work = library_folder / "open work" / "a"
    work.mkdir(parents=True)
    (work / "state.json").write_text("{}")
    (library_folder / "link").symlink_to(outside)
    (tmp_path / "cache" / "uploads").mkdir(parents=True)
    for path in (library_folder, library_folder / "open work", work, tmp_path / "cache" / "uploads"):
        path.chmod(0o755)
    (work / "state.json").chmod(0o644)
    folders.make_private()
    for path in (library_folder, work, work / "state.json", tmp_path / "cache" / "uploads"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 and path.stat().st_mode & 0o600 == 0o600
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_one_person_does_not_fill_the_cache_of_all(tmp_path, shared, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENDIFF_MAX_PERSON_GB", "0.000001")
    own = folders.own_folder("a" * 32)
    keep = lambda text: folders.keep_upload(io.BytesIO(text), "a.csv", (".csv",), own)  # noqa: E731
    kept = keep(b"x" * 600)
    with pytest.raises(SourceError, match="as much as this server keeps for a person"):
        keep(b"y" * 600)
    assert keep(b"x" * 600) == kept
    monkeypatch.setattr(limits, "user", lambda: "bob")
    own = folders.own_folder("a" * 32)
    keep(b"y" * 600)
