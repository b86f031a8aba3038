"""Runs in parts: whatever makes the parts, and however they are cut, the table is that of one run."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st

from opendiff.area import read_tiles, tile_frame
from opendiff.cli import main
from opendiff.cluster import local_workers, scheduler_at
from opendiff.demo import DemoSource
from opendiff.errors import ClusterError, ModelError, SourceError, TableError
from opendiff.generator import TrafficGenerator
from opendiff.open_data.sources import PackSource
from opendiff.partitions import Recipe, cut, generate_dataset, make_here
from opendiff.traffic_table import read_traffic
from planning.errors import InputError
from planning.traffic import TrafficTable

BOX = "115.86,28.64,115.96,28.72"
SAMPLES, SEED = 2, 5


@pytest.fixture(scope="module")
def tiles():
    return read_tiles(BOX)


@pytest.fixture(scope="module")
def recipe():
    checksum = TrafficGenerator.load("default", "cpu").checksum
    return Recipe("demo", "demo", "default", None, checksum, "cpu", SAMPLES, SEED, None, None)


@pytest.fixture(scope="module")
def whole(tiles):
    generator = TrafficGenerator.load("default", "cpu")
    return generator.generate(generator.conditions(DemoSource(), tiles), SAMPLES, SEED)


def same(left, right) -> None:
    pd.testing.assert_frame_equal(
        left.tiles[["x", "y", "covered_share"]], right.tiles[["x", "y", "covered_share"]]
    )
    np.testing.assert_array_equal(left.traffic, right.traffic)
    np.testing.assert_array_equal(left.users, right.users)
    assert left.intensities.keys() == right.intensities.keys()
    for name, values in left.intensities.items():
        np.testing.assert_array_equal(values, right.intensities[name])


@pytest.mark.parametrize("tiles_a_part", [1000, 13])
def test_any_cut_gives_the_table_of_one_run(tmp_path, recipe, tiles, whole, tiles_a_part):
    made = generate_dataset(recipe, tiles, tmp_path / "run", tiles_a_part)
    same(read_traffic(tmp_path / "run"), whole)
    assert made.tiles == len(whole.tiles) and made.tiles + made.missing_tiles == len(tiles)
    assert made.parts == -(-len(tiles) // tiles_a_part) and made.kept_parts == 0


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, unique=True), st.integers(1, 40)
)
def test_a_cut_holds_each_tile_once(places, tiles_a_part):
    x, y = np.array(places).T
    share = np.linspace(0.1, 1, len(x))
    parts = cut(tile_frame(x, y, share), tiles_a_part)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert all(0 < len(part.x) <= tiles_a_part for part in parts)
    held = sorted(row for part in parts for row in zip(part.x, part.y, part.covered_share, strict=True))
    assert held == sorted(zip(x, y, share, strict=True))


@pytest.mark.slow
def test_conditions_of_a_part_are_those_of_the_whole(nanchang_pack, tmp_path, monkeypatch):
    """Imagery, POI and population of a tile are encoded alike whichever tiles are encoded with it."""
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path))
    source, generator = PackSource(nanchang_pack), TrafficGenerator.load("default", "cpu")
    generator.keep_embeddings = False
    tiles = source.covered_tiles().iloc[150:200].reset_index(drop=True)
    together = generator.conditions(source, tiles)
    assert together.present[:, :3].all(axis=1).sum() > 10
    for rows in np.array_split(np.random.default_rng(0).permutation(len(tiles)), 4):
        alone = generator.conditions(source, tiles.iloc[rows].reset_index(drop=True))
        np.testing.assert_array_equal(alone.tokens, together.tokens[rows])
        for name, values in alone.intensities.items():
            np.testing.assert_array_equal(values, together.intensities[name][rows])


def test_a_stopped_run_goes_on_where_it_was(tmp_path, recipe, tiles, whole):
    out, made = tmp_path / "run", []

    def stops(recipe, parts):
        for part in make_here(recipe, parts):
            if len(made) == 2:
                raise KeyboardInterrupt
            made.append(part.part.number)
            yield part

    with pytest.raises(KeyboardInterrupt):
        generate_dataset(recipe, tiles, out, 20, stops)
    with pytest.raises(TableError, match="not finished"):
        read_traffic(out)
    with pytest.raises(InputError, match="not finished"):
        TrafficTable.read(out)
    seen = []
    rest = generate_dataset(
        recipe, tiles, out, 20, lambda r, parts: (seen.append(p.number) or q for p in parts for q in make_here(r, [p])),
        lambda done, total, what: seen.append((done, total)),
    )  # fmt: skip
    assert rest.kept_parts == 2 and not set(made) & {number for number in seen if isinstance(number, int)}
    assert seen[0] == (40, len(tiles)) and seen[-1] == (len(tiles), len(tiles))
    same(read_traffic(out), whole)


def test_another_encoder_is_another_run(tmp_path, recipe, tiles):
    """The model's weights may be the same where the encoder that made its conditions is not."""
    some = tiles.iloc[:3].reset_index(drop=True)
    generate_dataset(recipe, some, tmp_path / "run")
    other = replace(recipe, encoder_checksum="sha256:other")
    with pytest.raises(TableError, match="it differs in encoder_checksum"):
        generate_dataset(other, some, tmp_path / "run")
    with pytest.raises(ModelError, match="other weights"):
        generate_dataset(other, some, tmp_path / "another run")


def test_a_damaged_part_is_made_again(tmp_path, recipe, tiles, whole):
    out = tmp_path / "run"
    parts = generate_dataset(recipe, tiles, out, 30).parts
    (out / "part-00001.parquet").write_bytes(b"PAR1 no more")
    (out / ".part-00002.0a1b2c3d.parquet").write_bytes(b"torn")
    assert generate_dataset(recipe, tiles, out, 30).kept_parts == parts - 1
    assert not list(out.glob(".part*"))
    same(read_traffic(out), whole)


def test_a_full_disk_is_told_and_keeps_what_is_finished(tmp_path, recipe, tiles, whole, monkeypatch):
    out, written = tmp_path / "run", []

    def fails_at_third(path, data, write=Path.write_bytes):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fails_at_third)
        with pytest.raises(TableError, match="No space left"):
            generate_dataset(recipe, tiles, out, 20)
    assert len(list(out.glob("*.parquet"))) == 2
    assert generate_dataset(recipe, tiles, out, 20).kept_parts == 2
    same(read_traffic(out), whole)


def test_a_folder_of_something_else_is_left_alone(tmp_path, recipe, tiles):
    out = tmp_path / "run"
    generate_dataset(recipe, tiles.iloc[:5].reset_index(drop=True), out)
    with pytest.raises(TableError, match="seed"):
        generate_dataset(replace(recipe, seed=6), tiles.iloc[:5].reset_index(drop=True), out)
    with pytest.raises(TableError, match="tiles"):
        generate_dataset(recipe, tiles.iloc[:6].reset_index(drop=True), out)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("42")
    with pytest.raises(TableError, match="something else"):
        generate_dataset(recipe, tiles, mine)
    assert [file.name for file in mine.iterdir()] == ["thesis.txt"]


def test_other_weights_and_an_unknown_area_are_named(tmp_path, recipe):
    tiles = read_tiles("115.9,28.66,115.92,28.67")
    with pytest.raises(ModelError, match="other weights"):
        generate_dataset(replace(recipe, checksum="sha256:0"), tiles, tmp_path / "a")
    with pytest.raises(SourceError, match="draw where"):
        generate_dataset(recipe, read_tiles("2.30,48.85,2.31,48.86"), tmp_path / "b")


def test_planners_read_a_run_in_parts(tmp_path, recipe, tiles, whole):
    generate_dataset(recipe, tiles, tmp_path / "run", 40)
    table = TrafficTable.read(tmp_path / "run")
    np.testing.assert_array_equal(table.traffic, whole.traffic)
    np.testing.assert_array_equal(table.covered_share, whole.tiles["covered_share"])
    assert table.metadata["seed"] == SEED and set(table.intensities) == set(whole.intensities)
    with pytest.raises(InputError, match=r"_run\.json"):
        TrafficTable.read(tmp_path)
    foreign = pd.read_parquet(tmp_path / "run")  # as everybody else reads it
    assert len(foreign) == whole.traffic.size


def still_runs(process):
    """Waits a moment for the end of a process, which must not come; waiting idly leaves the cores to it."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path, whole):
    """Two processes make the parts of a run of the command line; one of them is killed when the first part is there."""
    out, seen, over = tmp_path / "run", [], threading.Event()
    asked = ["generate", BOX, "--source", "demo", "--samples", str(SAMPLES), "--seed", str(SEED)]

    def kill_one():
        while not list(out.glob("part-*.parquet")) and not over.wait(0.05):
            pass
        children = psutil.Process().children(recursive=True)
        seen.extend(child for child in children if any("spawn_main" in text for text in child.cmdline()))
        os.kill(seen[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        assert main([*asked, "--workers", "2", "--part-tiles", "4", "--out", str(out)]) == 0
    finally:
        over.set()
        killer.join()
    assert len(seen) == 2 and not psutil.pid_exists(seen[0].pid)
    same(read_traffic(out), whole)


@pytest.mark.slow
def test_a_scheduler_elsewhere_shares_the_work(tmp_path, tiles, whole):
    """The command line against a scheduler and a worker started as their users start them."""
    address = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen(
        [*command, "--no-dashboard", "--scheduler-file", str(address)],
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address), "--no-nanny",
         "--no-dashboard", "--nthreads", "1", "--local-directory", str(tmp_path)],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not address.is_file() or not address.read_text().strip():
            still_runs(scheduler)
        out = tmp_path / "run"
        asked = ["generate", BOX, "--source", "demo", "--samples", str(SAMPLES), "--seed", str(SEED)]
        at = json.loads(address.read_text())["address"]
        assert main([*asked, "--scheduler", at, "--out", str(out)]) == 0
    finally:
        worker.kill()
        scheduler.kill()
        worker.wait(), scheduler.wait()
    same(read_traffic(out), whole)


@pytest.mark.slow
def test_a_scheduler_without_workers_is_named(monkeypatch):
    monkeypatch.setattr("plannerbase.workers.CONNECT_SECONDS", 1)
    with LocalCluster(
        n_workers=0, host="127.0.0.1", dashboard_address=None, processes=False, protocol="tcp"
    ) as empty:
        with pytest.raises(ClusterError, match="no worker"), scheduler_at(empty.scheduler_address):
            pass


@pytest.mark.slow
def test_what_cannot_share_the_work_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(ClusterError, match="at least 1"), local_workers(0):
        pass
    monkeypatch.setattr("plannerbase.workers.CONNECT_SECONDS", 0.2)
    with pytest.raises(ClusterError, match="dask scheduler"), scheduler_at("tcp://127.0.0.1:9"):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["generate", BOX, "--source", "demo", "--workers", "2", "--out", str(tmp_path / "run")]) == 2
    assert "pip install" in capsys.readouterr().err
    assert (
        main(["generate", BOX, "--source", "demo", "--part-tiles", "50", "--out", str(tmp_path / "run")]) == 0
    )
