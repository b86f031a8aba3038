"""A file is the same whether it comes as a path, as bytes or open; what is too large is not read."""

import io

import pytest

from plannerbase.source import content_of, name_of
from plannerbase.text import Refused


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "sites.csv"
    file.write_bytes(b"site,lon,lat\n")
    return file


def test_however_it_is_handed_over(path):
    with path.open("rb") as file:
        sources = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), file]
        assert {content_of(source, 100) for source in sources} == {b"site,lon,lat\n"}
    assert [name_of(s, None, "the file") for s in (path, str(path), b"")] == ["sites.csv"] * 2 + ["the file"]
    assert name_of(path, "asked.csv", "the file") == "asked.csv"


@pytest.mark.parametrize(
    "wrapped", [lambda path: path, lambda path: path.read_bytes(), lambda path: path.open("rb")]
)
def test_too_large_is_said_in_the_unit_that_fits(path, wrapped):
    with pytest.raises(Refused, match="is larger than 0 MB"):
        content_of(wrapped(path), 12)
    assert len(content_of(wrapped(path), 13)) == 13


def test_an_open_file_is_read_no_further_than_needed():
    endless = io.BytesIO(b"x" * 1000)
    with pytest.raises(Refused):
        content_of(endless, 10)
    assert endless.tell() == 11


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        content_of(tmp_path, 10)
