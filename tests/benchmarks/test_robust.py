"""Damaged files of every kind give a valid result or one sentence; the harness itself finds what is planted."""

import numpy as np
import pytest

from benchmarks.robustness import mutations
from benchmarks.robustness.fuzz import attempt, inputs, unclear
from benchmarks.robustness.parsers import PARSERS, Parser
from opendiff.errors import AreaError

INPUTS = 4  # of each kind, by chance; `python -m benchmarks robust` tries thousands, led by the lines that they reach


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_damaged_files_give_a_result_or_a_sentence(name, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    folder.mkdir()
    for data, _ in inputs(PARSERS[name], INPUTS + len(PARSERS[name].seeds()), 0):
        finding = attempt(PARSERS[name], data, folder)
        assert finding is None, finding.trace


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_some_undamaged_file_of_each_kind_is_read(name, tmp_path, monkeypatch):
    """Else the parser would be tried on its first line only."""
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    path = tmp_path / f"input{name[name.rindex('.') :]}"
    path.write_bytes(PARSERS[name].seeds()[0])
    PARSERS[name].read(path)


def test_what_is_planted_behind_a_line_is_found(tmp_path):
    """Each byte leads one line further: blind damage would need all of them at once."""
    source = tmp_path / "plannerbase" / "planted.py"
    source.parent.mkdir()
    source.write_text(
        "def read(data):\n"
        "    if b'' < data[:1] < b'z':\n"
        "        if b'' < data[1:2] < b'z':\n"
        "            if b'' < data[2:3] < b'z':\n"
        "                return 1 / 0\n"
    )
    space = {}
    exec(compile(source.read_text(), str(source), "exec"), space)
    parser = Parser("planted.bin", lambda: [b"zzzz"], lambda path: space["read"](path.read_bytes()))
    import benchmarks.robustness.fuzz as module

    watched, module.WATCHED = module.WATCHED, (str(source.parent),)
    try:
        reached = set()
        for data, tell in module.inputs(parser, 600, 0):
            with module.Reached() as lines:
                attempt(parser, data, tmp_path)
            tell(lines.lines)
            reached |= lines.lines
    finally:
        module.WATCHED = watched
    assert (str(source), 5) in reached


def test_an_error_that_is_no_sentence_or_untyped_is_a_finding(tmp_path):
    def wrong(path):
        raise AreaError("no stop")

    def untyped(path):
        raise KeyError("a")

    assert attempt(Parser("a.bin", list, wrong), b"", tmp_path).what == "the error is no sentence"
    assert attempt(Parser("a.bin", list, untyped), b"", tmp_path).what.startswith("KeyError")
    assert unclear("Two\nlines.", tmp_path) and unclear("x" * 2000 + ".", tmp_path)
    assert unclear("The file is empty; export it again.", tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", mutations.STRUCTURED)
def test_damage_is_seeded_and_changes_the_file(kind):
    from benchmarks.robustness import corpus
    from benchmarks.robustness.array_mutations import written

    data = {
        "json": corpus.geojson_areas, "csv": corpus.tile_lists, "parquet": corpus.traffic_parquets,
        "zip": corpus.packs, "sqlite": corpus.gpkg_areas, "xml": corpus.kml_areas,
        "npy": lambda: [written(np.arange(30.0).reshape(5, 6))],
    }[kind]()[0]  # fmt: skip
    made = [mutations.mutated(data, kind, np.random.default_rng(n)) for n in range(20)]
    assert len({bytes(m) for m in made}) > 10 and sum(m != data for m in made) > 15
    if kind not in ("zip", "sqlite"):  # those carry the time of their writing
        assert made[3] == mutations.mutated(data, kind, np.random.default_rng(3))
