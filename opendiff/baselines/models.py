"""What the tables compare, by the name under which it is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from opendiff.baselines.adaptive import Adaptive
from opendiff.baselines.cities import ALL, ELEMENTS, City
from opendiff.baselines.csdi import Csdi
from opendiff.baselines.harness import Baseline, Budget, NeuralBaseline, Sampler, TileConditions
from opendiff.baselines.ke_gan import Kegan
from opendiff.baselines.open_diff import LITERAL, NO_ATTENTION, NO_GUIDANCE, Default, Published
from opendiff.baselines.recalibrated import Recalibrated
from opendiff.baselines.spectra_gan import SpectraGan
from opendiff.baselines.tcn_gan import TcnGan
from opendiff.baselines.trans_gan import TransGan
from opendiff.errors import ModelError
from opendiff.evaluation.references import references

# PUBLISHED is a reduction: 50 steps, six hours a token (`opendiff.baselines.open_diff`). AS_PUBLISHED has 400 and one;
# a row of it takes some 50 times as long, so it runs where it is asked for by name.
PUBLISHED, FORGETFUL, DEFAULT, CSDI = "OpenDiff, reduced", "OpenDiff, public sampler", "default", "CSDI"
AS_PUBLISHED = "OpenDiff, 400 steps"
ON_REQUEST = (AS_PUBLISHED,)
REFERENCES = ("random tiles", "10 nearest tiles", "extra-trees level x ridge shape")
RECALIBRATED = ", recalibrated"
TRANSFER = "ADAPTIVE"  # needs a second city


@dataclass(frozen=True)
class Entry:
    """make: a new, unfitted model, given the other city; rows: what is reported of one fit, a name each; element: what
    is taken away of the conditions."""

    make: Callable[[City | None], Baseline]
    rows: dict[str, Callable[[Any], Sampler]]
    element: str = ALL


class Reference:
    """A reference generator (`opendiff.evaluation.references`) behind the interface of the baselines."""

    def __init__(self, name: str):
        self.reference = references()[name]

    def fit(self, conditions: TileConditions, series: np.ndarray, seed: int, budget: Budget) -> Self:
        """As `Baseline.fit`; a reference knows no budget and its fit no seed."""
        self.reference = self.reference.fit(conditions.vectors.astype(float), series[:, 0])
        return self

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        return self.reference.sample(conditions.vectors.astype(float), samples, seed)


def transfer(other: City | None) -> Adaptive:
    """Raises ModelError without a second city."""
    if other is None:
        raise ModelError(f"{TRANSFER} learns from a second city; give --data twice.")
    return Adaptive((next(iter(other.conditions[ALL].values())), other.series))


def plain(name: str, make: Callable[[City | None], Baseline], element: str = ALL) -> Entry:
    """An entry whose one row is what its model generates."""
    return Entry(make, {name: lambda model: model}, element)


def as_is_and_recalibrated(name: str, make: Callable[[], NeuralBaseline]) -> Entry:
    """An entry with what its network generates, and that with the spread put right on rows held back."""
    return Entry(alone(make), {name: lambda model: model, f"{name}{RECALIBRATED}": Recalibrated})


def alone(make: Callable[[], Baseline]) -> Callable[[City | None], Baseline]:
    """Made whatever the other city is."""
    return lambda other: make()


_PUBLISHED = Entry(
    lambda other: Published(), {PUBLISHED: lambda model: model, FORGETFUL: lambda model: model.forgetful()}
)
_BASELINES = {
    "TransGAN": as_is_and_recalibrated("TransGAN", TransGan),
    "TCN-GAN": as_is_and_recalibrated("TCN-GAN", TcnGan),
    "KEGAN": as_is_and_recalibrated("KEGAN", Kegan),
    CSDI: as_is_and_recalibrated(CSDI, Csdi),
    "SpectraGAN": as_is_and_recalibrated("SpectraGAN", SpectraGan),
    TRANSFER: plain(TRANSFER, transfer),
}
_REFERENCES = {name: plain(name, alone(partial(Reference, name))) for name in REFERENCES}
_DEFAULT = {DEFAULT: plain(DEFAULT, alone(Default))}
_WITHOUT = {
    f"{of}, {element}": plain(f"{of}, {element}", alone(make), element)
    for of, make in (("published", Published), ("default", Default))
    for element in ELEMENTS
}
_PARTS = {
    "OpenDiff-NA": plain("OpenDiff-NA", lambda other: Published(NO_ATTENTION)),
    "OpenDiff-NC": plain("OpenDiff-NC", lambda other: Published(NO_GUIDANCE)),
}
_LITERAL = {AS_PUBLISHED: plain(AS_PUBLISHED, lambda other: Published(LITERAL))}
FIDELITY = {**_BASELINES, PUBLISHED: _PUBLISHED, **_LITERAL, **_DEFAULT, **_REFERENCES}
TABLES: dict[int, dict[str, Entry]] = {
    1: FIDELITY,
    2: {name: FIDELITY[name] for name in (CSDI, "SpectraGAN", PUBLISHED, DEFAULT)},
    3: {**{name: FIDELITY[name] for name in (CSDI, PUBLISHED, DEFAULT)}, **_WITHOUT},
    4: {CSDI: FIDELITY[CSDI], PUBLISHED: _PUBLISHED, **_PARTS},
    6: FIDELITY,
}
