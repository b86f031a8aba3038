"""A process that writes one kind of file again and again, to be killed, starved or locked out: `python -m
benchmarks.robustness.victim KIND FOLDER [--first N] [--count N] [--most-bytes N] [--as-nobody]`.

What needs torch imports it when it is written: the processes of the other kinds start in a third of the time. It
prints the number of each write that it has finished, or the error that it was refused with, and then ends with 3.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.robustness import corpus
from opendiff.area import tile_frame
from opendiff.errors import OpenDiffError
from opendiff.live.store import PackStore
from opendiff.open_data.sources import POI_COLUMNS, PackSource
from opendiff.traffic_table import read_traffic
from planning.errors import PlanningError
from planning.scenario import Scenario

if TYPE_CHECKING:
    from opendiff.encoder.embeddings import EmbeddingCache
    from opendiff.storage.work_folder import WorkFolder

NOBODY = 65_534
WIDTH = 16
KEY = "0" * 32
TYPED = (OpenDiffError, PlanningError)


@dataclass(frozen=True)
class Kind:
    """write: version n of the file into a folder, n from 1. read: the version that is there. file: its main file."""

    write: Callable[[Path, int], None]
    read: Callable[[Path], int]
    file: str
    silent: bool = False  # a cache that a run can do without: what cannot be written is not an error


def _write_scenario(folder: Path, n: int) -> None:
    scenario = corpus.made_scenario()
    replace(scenario, provenance=scenario.provenance | {"n": n}).save(folder / "plan.gpkg")


def _write_traffic(folder: Path, n: int) -> None:
    replace(corpus.made_ensemble(), metadata={"n": n}).save(folder / "traffic.parquet")


def _write_pack(folder: Path, n: int) -> None:
    """Version n lists the tiles 1 to n, which is how a pack grows; a tile's counts are its number."""
    tiles = tile_frame([n], [n])
    PackStore.at(folder / "pack").add(tiles, {"poi": np.full((1, len(POI_COLUMNS)), n)})


def _read_pack(folder: Path) -> int:
    source = PackSource(folder / "pack")
    tiles = source.all_tiles()
    data = source.open_data(tiles, imagery=False)
    counts = np.where(data.has_poi[:, None], data.poi, data.osm_poi)
    numbers = tiles["x"].to_numpy()
    if not (counts == numbers[:, None]).all():
        raise ValueError("the pack's counts are not those of its tiles")
    return len(set(numbers.tolist()))


def _write_weights(folder: Path, n: int) -> None:
    import torch

    from opendiff.storage.checkpoint import write_checkpoint

    write_checkpoint(
        folder / "a.safetensors", {"a": torch.full((400, 1000), float(n % 100))}, {"model": "a", "n": n}
    )


def _read_weights(folder: Path) -> int:
    from opendiff.storage.checkpoint import read_checkpoint

    found = read_checkpoint(folder / "a.safetensors", "a", listed=False)
    if not bool((found.tensor("a") == found.notes["n"] % 100).all()):
        raise ValueError("the weights are not those of the notes")
    return found.notes["n"]


def _write_work(folder: Path, n: int) -> None:
    _work(folder).write("part", KEY, {"a": np.full(200_000, n, np.float32)}, n)


def _read_work(folder: Path) -> int:
    found = _work(folder).read("part", KEY)
    return 0 if found is None else found[1]


def _work(folder: Path) -> WorkFolder:
    from opendiff.storage.work_folder import WorkFolder

    return WorkFolder(folder / "work")


def _write_embeddings(folder: Path, n: int) -> None:
    _embeddings(folder).write({b"%d" % i: np.full(WIDTH, i, np.float32) for i in range(1, n + 1)})


def _read_embeddings(folder: Path) -> int:
    found = _embeddings(folder).read([b"%d" % i for i in range(1, 400)])
    if not all((vector == int(image)).all() for image, vector in found.items()):
        raise ValueError("an embedding is another image's")
    return len(found)


def _embeddings(folder: Path) -> EmbeddingCache:
    from opendiff.encoder.embeddings import EmbeddingCache

    return EmbeddingCache(folder / "embeddings.sqlite", WIDTH)


KINDS = {
    "scenario": Kind(_write_scenario, lambda f: Scenario.read(f / "plan.gpkg").provenance["n"], "plan.gpkg"),
    "traffic table": Kind(
        _write_traffic, lambda f: read_traffic(f / "traffic.parquet").metadata["n"], "traffic.parquet"
    ),
    "pack": Kind(_write_pack, _read_pack, "pack/tiles.parquet"),
    "weights": Kind(_write_weights, _read_weights, "a.safetensors"),
    "part of long work": Kind(_write_work, _read_work, f"work/part-{KEY[:16]}.safetensors"),
    "embeddings": Kind(_write_embeddings, _read_embeddings, "embeddings.sqlite", silent=True),
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--most-bytes", type=int)
    parser.add_argument("--as-nobody", action="store_true")
    options = parser.parse_args()
    kind = KINDS[options.kind]
    if kind is KINDS["scenario"]:
        corpus.made_scenario()  # what is to be written is made before anything is taken away
    if options.most_bytes is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (options.most_bytes, resource.RLIM_INFINITY))
    if options.as_nobody and os.geteuid() == 0:
        os.seteuid(NOBODY)
    for n in range(options.first, options.first + options.count * options.step, options.step):
        try:
            kind.write(options.folder, n)
        except TYPED as error:
            print(f"refused: {error}", flush=True)
            return 3
        print(n, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
