"""Room in the cache: the longest unused goes; what is in use or cannot be had again stays; two processes at once."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendiff.errors import SourceError, StorageError
from opendiff.open_data.zipped_pack import unpacked
from opendiff.storage import cache_room

ROOT = Path(__file__).resolve().parents[3]
MB = 1_000_000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder with a quota of 10 MB."""
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENDIFF_CACHE_GB", "0.01")
    return tmp_path / "cache"


def made(path, megabytes, days_ago):
    """A folder, or a file where the name has a suffix, last used so many days ago."""
    file = path if path.suffix else path / "tiles.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(round(megabytes * MB)))
    then = path.stat().st_mtime - days_ago * 86_400
    os.utime(path, (then, then))
    return path


def test_the_longest_unused_goes_first_and_no_more_than_must(cache):
    old = made(cache / "packs" / "a", 4, 9)
    older = made(cache / "unpacked" / "b", 4, 12)
    oldest = made(cache / "population" / "fra.tif", 4, 15)
    young = made(cache / "sessions" / "x" / "packs" / "c", 4, 2)
    assert cache_room.make_room() == [oldest, older]
    assert old.exists() and young.exists() and not older.exists() and not oldest.exists()
    assert cache_room.make_room() == []
    assert cache_room.make_room(2 * MB) == []
    assert cache_room.make_room(3 * MB) == [old]


def test_uploads_and_what_is_in_use_stay_and_the_new_is_refused(cache):
    upload = made(cache / "uploads" / "a" / "city.tif", 8, 90)
    recent = made(cache / "packs" / "b", 1, 0)
    used_now = made(cache / "unpacked" / "c", 1, 30)
    cache_room.mark_used(used_now / "city" / "tiles.parquet")
    with pytest.raises(StorageError, match=r"would hold 0\.013 GB and may hold 0\.010 GB"):
        cache_room.make_room(3 * MB)
    assert upload.exists() and recent.exists() and used_now.exists()


def test_use_keeps_the_time_of_change(cache):
    entry = made(cache / "packs" / "a", 0.1, 40)
    before = entry.stat().st_mtime_ns
    cache_room.mark_used(entry)
    assert entry.stat().st_mtime_ns == before
    (found,) = cache_room.entries(cache)
    assert found.used > before / 1e9 + 39 * 86_400


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "packs", "uploads/a/city.zip", "sessions/x", "\0", "../packs/a"]
)
def test_other_places_are_no_entries(cache, path):
    cache.mkdir()
    assert cache_room.entry_of(cache / path) is None
    cache_room.mark_used(cache / path)


def test_a_link_in_the_cache_is_removed_and_what_it_points_to_stays(cache, tmp_path):
    outside = made(tmp_path / "outside", 1, 99)
    (cache / "packs").mkdir(parents=True)
    (cache / "packs" / "link").symlink_to(outside)
    made(cache / "packs" / "a", 11, 5)
    cache_room.make_room(9 * MB)
    assert (outside / "tiles.parquet").stat().st_size == MB


def test_what_an_ended_process_left_half_removed_goes(cache):
    made(cache / "packs" / f"{cache_room.GONE}123", 1, 0)
    cache_room.make_room()
    assert list((cache / "packs").iterdir()) == []


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf"])
def test_a_quota_that_is_no_number_is_one_sentence(cache, monkeypatch, value):
    monkeypatch.setenv("OPENDIFF_CACHE_GB", value)
    with pytest.raises(SourceError, match="OPENDIFF_CACHE_GB is"):
        cache_room.make_room()


@given(
    sizes=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), max_size=6), wanted=st.integers(0, 10)
)
def test_afterwards_it_is_within_its_quota_and_the_oldest_are_gone(tmp_path_factory, sizes, wanted):
    home = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENDIFF_CACHE", str(home))
        patch.setenv("OPENDIFF_CACHE_GB", "1e-5")  # 10 kB
        ages = {made(home / "packs" / str(i), kb / 1000, days): days for i, (kb, days) in enumerate(sizes)}
        cache_room.make_room(wanted * 1000)
        left = {path for path in ages if path.exists()}
        assert cache_room.size_of(home) + wanted * 1000 <= 10_000
        gone = set(ages) - left
        assert not gone or not left or min(ages[p] for p in gone) >= max(ages[p] for p in left)


def test_a_zipped_pack_that_does_not_fit_is_refused_and_leaves_nothing(cache, tmp_path):
    archive = tmp_path / "city.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("tiles.parquet", bytes(11 * MB))
    with pytest.raises(StorageError, match="OPENDIFF_CACHE_GB"):
        unpacked(archive)
    assert cache_room.size_of(cache) < MB
    old = made(cache / "packs" / "a", 6, 5)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("tiles.parquet", bytes(6 * MB))
    assert (unpacked(archive) / "tiles.parquet").stat().st_size == 6 * MB and not old.exists()


def test_two_processes_make_room_at_once(cache):
    """Both end well, every entry is removed once, and no more than the quota asks for."""
    for number in range(40):
        made(cache / "packs" / f"p{number:02}", 0.5, 100 - number)
    command = [
        sys.executable,
        "-c",
        "from opendiff.storage.cache_room import make_room; print(len(make_room()))",
    ]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    removed = [int(process.communicate(timeout=60)[0]) for process in both]
    assert all(process.returncode == 0 for process in both) and sum(removed) == 20
    assert sorted(p.name for p in (cache / "packs").iterdir()) == [f"p{n:02}" for n in range(20, 40)]
