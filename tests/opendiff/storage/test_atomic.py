import pytest

from opendiff.storage.atomic import replacing


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt" and temporary.parent == tmp_path and not path.exists()
    assert path.read_text() == "new" and len(list(tmp_path.iterdir())) == 1


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
