"""`python -m opendiff evaluate`: spatial-block cross-validation against reference generators."""

from __future__ import annotations

import argparse
from pathlib import Path

from opendiff.commands.parsers import Commands
from opendiff.errors import OpenDiffError
from opendiff.storage.atomic import write_json
from plannerbase.progress import StageBars

SPLITS = ("blocks", "buffer-1", "buffer-2", "quadrants", "sectors")  # as in `opendiff.evaluation.splits`


def add_command(commands: Commands) -> None:
    parser = commands.add_parser(
        "evaluate", help="spatial-block cross-validation against reference generators"
    )
    parser.add_argument(
        "--data", required=True, action="append", type=Path, metavar="PACK",
        help="the pack that is evaluated; further ones are trained on as well",
    )  # fmt: skip
    parser.add_argument(
        "--cities", action="store_true",
        help="leave each of the packs out as a whole, and evaluate its spatial blocks, beside trivial references",
    )  # fmt: skip
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model or reference; repeat for several (default: all but paper, which takes hours)",
    )
    parser.add_argument("--samples", type=int, default=60, help="weeks a tile (default 60)")
    parser.add_argument(
        "--paper-samples", type=int, default=10, help="weeks a tile of the model paper (default 10)"
    )
    parser.add_argument(
        "--work", type=Path, default=None, metavar="DIR",
        help="keep finished parts of the model paper here, so that an interrupted evaluation goes on",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N",
        help="processes that share the folds of the model paper (default 1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--split", choices=SPLITS, default=SPLITS[0],
        help="tiles that are held out together: the pack's blocks, these with a buffer of 1 or 2 tiles that are not "
        "trained on either, quadrants, or sectors around the centre (default blocks)",
    )  # fmt: skip
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="cpu",
        help="where models learn and generate (default cpu)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.json"), help="JSON report; the table goes to standard output"
    )
    parser.add_argument(
        "--plots",
        type=Path,
        default=None,
        metavar="HTML",
        help="page with plots; it shows true series of the pack, so keep it as private as the pack",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from opendiff.device import chosen_device
    from opendiff.evaluation import evaluate
    from opendiff.evaluation.tables import markdown_tables
    from opendiff.open_data.sources import PackSource

    for path in filter(None, (options.out, options.plots)):
        if not path.parent.is_dir():
            raise OpenDiffError(f"The folder {path.parent} does not exist; make it or name another file.")
    device = chosen_device(options.device)
    packs = [PackSource(path) for path in options.data]
    if options.cities:
        from opendiff.evaluation.cities import evaluate_cities
        from opendiff.evaluation.tables import cities_tables

        result = evaluate_cities(packs, options.samples, options.seed, StageBars())
        write_json(options.out, result)
        print(cities_tables(result))
        return
    done = evaluate(
        packs[0], options.model, options.samples, options.seed, StageBars(), options.paper_samples,
        options.work, packs[1:], device, options.workers, options.split,
    )  # fmt: skip
    write_json(options.out, done.report)
    if options.plots:
        from opendiff.evaluation.plots import save_plots

        save_plots(done, options.plots)
    print(markdown_tables(done.report))
