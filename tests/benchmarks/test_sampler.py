"""The benchmark of the samplers runs, and gives the figures it is read for."""

import json
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import sampler, sampler_workers
from benchmarks.cli import main
from benchmarks.sampler_quality import Quality
from opendiff.cli import main as opendiff
from opendiff.errors import OpenDiffError


@pytest.mark.slow
def test_a_quick_run_gives_all_figures(tmp_path, monkeypatch, capsys):
    """On a part of the tiles; the runs in parts are made in this process, so that none has a worker to be killed: that
    one is replaced is looked at in tests/opendiff/test_partitions.py, and that one is killed below."""

    def made_here(command, out=None):
        workers = command.index("--workers")
        assert opendiff(command[3:workers] + command[workers + 2 :]) == 0
        return (1.0, 500.0) if out is None else (1.0, 1)

    monkeypatch.setattr(sampler, "TILES", 20)
    monkeypatch.setattr(sampler, "QUICK_COUNTRY", (96, 2, 8))
    monkeypatch.setattr(sampler_workers, "seconds_and_peak", made_here)
    monkeypatch.setattr(sampler_workers, "seconds_with_a_death", made_here)
    out = tmp_path / "sampler.json"
    assert main(["sampler", "--quick", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    rate = figures["tile_weeks_per_second"]
    assert figures["speedup_vs_published"] == pytest.approx(rate / figures["tile_weeks_per_second_published"])
    assert figures["seconds_100x20_warm"] == pytest.approx(20 * 20 / rate)
    assert figures["shipped_steps"] == 2 and 0 < figures["seconds_first_4_samples"]
    assert figures["killed_workers"] == figures["killed_worker_table_equal"] == 1
    assert 100 < figures["peak_mb_100x20"] < 3000
    assert "tile-weeks" in capsys.readouterr().out


# A run in three parts: the second and third are written when one of the two workers has gone.
RUN = """
import json, multiprocessing, multiprocessing.connection, pathlib, signal, sys
if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1])
    spawned = multiprocessing.get_context("spawn")
    workers = [spawned.Process(target=signal.pause) for _ in range(2)]
    for worker in workers:
        worker.start()
    (out / "_run.json").write_text(json.dumps({"parts": 3}))
    (out / "part-0.parquet").write_bytes(b"")
    gone = multiprocessing.connection.wait([worker.sentinel for worker in workers])
    left = [worker for worker in workers if worker.sentinel not in gone]
    assert len(left) == 1
    left[0].kill()
    sys.exit(int(sys.argv[2]))
"""


def test_one_worker_is_killed_when_a_third_of_the_parts_is_there(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, str(script), str(out)]
    seconds, deaths = sampler_workers.seconds_with_a_death([*command, "0"], out)
    assert deaths == 1 and seconds > 0
    with pytest.raises(OpenDiffError, match="killed worker has failed"):
        sampler_workers.seconds_with_a_death([*command, "1"], out)


def test_loss_is_against_the_best_of_all_sizes_and_steps():
    rows = (
        (32, 1, 900, 2, 0.30, 0.02, 0.9),
        (64, 2, 4000, 2, 0.32, 0.02, 0.9),
        (64, 2, 4000, 4, 0.303, 0.02, 0.9),
    )
    quality = Quality(rows, (64, 2, 4))
    assert quality.figures()["ncrps_relative_loss"] == pytest.approx(0.01)
    assert quality.of_shipped() == {2: 0.32, 4: 0.303} and "0.303" in quality.text()


class CountedProducts(TorchDispatchMode):
    """Multiplications and additions of matrix products in this thread."""

    operations = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **(options or {}))
        name = function.overloadpacket.__name__.rstrip("_")
        if name in ("mm", "matmul", "bmm", "addmm", "baddbmm"):
            self.operations += 2 * out.numel() * arguments[-1].shape[-2]
        return out


@pytest.mark.slow
def test_operations_are_those_that_torch_counts():
    """Of the products that torch is asked for, those in place included, which its own counter leaves out."""
    from opendiff.default import card
    from opendiff.default.model import condition_tensors
    from opendiff.default.world import World
    from opendiff.demo import DemoSource
    from opendiff.generator import TrafficGenerator

    source = DemoSource()
    generator = TrafficGenerator.load("default", "cpu")
    tensors = condition_tensors(source.conditions(source.covered_tiles().iloc[:1]))
    memory, prediction = generator._precompute_kv(*tensors)
    rows = 16
    numbers, tile = torch.arange(rows), torch.zeros(rows, dtype=torch.int64)
    asked = card.Asked(0, *tensors[3:], numbers, memory, prediction, World.of(0, *tensors[3:], numbers))
    with torch.inference_mode():
        plain = card.plain_weeks(generator.model, asked, generator.model.config.steps)
        folded = card.folded_memory(generator.model, memory, 1).take(tile)
        with CountedProducts() as counter:
            plain(tile, numbers, folded)
    assert sampler.operations_a_tile_week() == pytest.approx(counter.operations / rows, rel=0.01)
