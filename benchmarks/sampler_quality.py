"""nCRPS of the sampler at every number of steps and size of the network, each tile by a model that has not seen it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.held_out import middle
from benchmarks.tables import markdown

SIZES = ((16, 1), (32, 1), (64, 1), (64, 2), (128, 2))  # width and layers of the denoiser
STEPS_OF_SIZES = (1, 2, 4, 8)
SAMPLES, SEED = 60, 0


@dataclass(frozen=True)
class Quality:
    """Rows of (width, layers, parameters of the denoiser, steps, nCRPS, its standard error over folds, coverage of the
    90 % interval); which of them is shipped."""

    rows: tuple[tuple[int, int, int, int, float, float, float], ...]
    shipped: tuple[int, int, int]

    def of_shipped(self) -> dict[int, float]:
        """nCRPS by steps, of the shipped size."""
        return {row[3]: row[4] for row in self.rows if row[:2] == self.shipped[:2]}

    def figures(self) -> dict[str, float]:
        best = min(row[4] for row in self.rows)
        mine = self.of_shipped()[self.shipped[2]]
        return {"ncrps_shipped": mine, "ncrps_best": best, "ncrps_relative_loss": mine / best - 1}

    def text(self) -> str:
        names = ["width", "layers", "parameters", "steps", "nCRPS", "standard error", "inside 90 %"]
        table = pd.DataFrame(list(self.rows), columns=names)
        formats = {"parameters": ",.0f", "nCRPS": ".4f", "standard error": ".4f", "inside 90 %": ".3f"}
        width, layers, steps = self.shipped
        return (
            f"nCRPS of denoisers of several sizes; shipped is width {width}, {layers} layers, {steps} steps, at "
            f"{self.figures()['ncrps_relative_loss']:.2%} more than the best:\n\n{markdown(table, formats)}"
        )


def cross_validate(root: Path, steps: tuple[int, ...], quick: bool) -> Quality:
    from opendiff import metrics
    from opendiff.default.training import train_model
    from opendiff.encoder.weights import pretrained_trunk
    from opendiff.generator import TrafficGenerator
    from opendiff.open_data.sources import PackSource
    from opendiff.training_data import read_training_data

    config = TrafficGenerator.from_weights(None, "cpu").model.config
    shipped = (config.width, config.layers, config.steps)
    data = read_training_data(PackSource(root), pretrained_trunk())
    if quick:
        data = middle(data)
    rows = data.has_traffic
    truth, folds = data.series[rows, 0], data.folds[rows]
    every = np.unique(folds)
    conditions = {
        fold: data.conditions(data.encoder(pretrained_trunk(), data.folds != fold, SEED)) for fold in every
    }
    found = []
    for width, layers in (shipped[:2],) if quick else SIZES:
        models = {}
        for fold in every:
            train = rows & (data.folds != fold)
            models[fold] = train_model(
                conditions[fold].take(train), data.series[train], data.log_intensities[train],
                data.blocks[train], SEED, replace(config, width=width, layers=layers),
            )  # fmt: skip
        size = sum(p.numel() for p in models[every[0]].denoiser.parameters())
        own = (width, layers) == shipped[:2]
        for count in sorted({*steps, shipped[2]} if own else {*STEPS_OF_SIZES, shipped[2]}):
            ensemble = np.empty((len(truth), 10 if quick else SAMPLES, truth.shape[1]), np.float32)
            for fold, model in models.items():
                asked = conditions[fold].take(rows & (data.folds == fold))
                made = TrafficGenerator(model, mirrored=False).generate(
                    asked, ensemble.shape[1], SEED, steps=count
                )
                ensemble[folds == fold] = made.traffic
            errors = [
                metrics.crps(truth[folds == f], ensemble[folds == f]).mean() / truth[folds == f].mean()
                for f in every
            ]
            ncrps = metrics.crps(truth, ensemble).mean() / truth.mean()
            spread = np.std(errors, ddof=1) / np.sqrt(len(every))
            inside = metrics.coverage(truth, ensemble, 0.9).mean()
            found.append((width, layers, size, count, float(ncrps), float(spread), float(inside)))
    return Quality(tuple(found), shipped)
