"""A generator that is conditioned on measured tiles: ensembles that agree with what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from opendiff.area import Tiles, tile_frame
from opendiff.base_generator import ConditionSource, EnsembleGenerator, OpenDataSource
from opendiff.conditions import Conditions
from opendiff.default.conditioning import Posterior, posterior
from opendiff.default.denoiser import ConditionCache
from opendiff.default.model import condition_tensors
from opendiff.default.posterior_samples import SAMPLES, conditioned
from opendiff.default.prior import PriorPrediction
from opendiff.default.representation import LEVEL_WIDTH, NOISE_WIDTH, WIDTH
from opendiff.default.shape_conditioning import ConditionedShape
from opendiff.default.world import World
from opendiff.device import rounded
from opendiff.errors import ModelError, TableError
from opendiff.generator import TrafficGenerator, follow_calls, known_or_estimated
from opendiff.measurements import MBPS, Measurements
from opendiff.noise import tile_noise
from opendiff.week import HOURS, SERIES
from plannerbase.progress import Progress

NEAR_TILES = 24  # measured tiles so far outside an area are still used: the farthest that its city reaches
REPLACED = "Traffic and users are generated, not measured"  # the assumption that no longer holds


class ConditionedGenerator(TrafficGenerator):
    """The model `default` given measured tiles (`condition`)."""

    posterior: Posterior
    notes: tuple[str, ...] = ()

    @torch.inference_mode()
    def weeks(
        self,
        conditions: Conditions,
        samples: range,
        seed: int,
        guidance_scale: float,
        steps: int,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As the base class says, of the ensemble given the measured tiles. Raises ModelError for a guidance scale
        above 0, which changes the level that was measured."""
        if guidance_scale:
            raise ModelError("Measured tiles fix the traffic, so the guidance scale must be 0.")
        count = len(conditions.tiles)
        if not count:
            return np.empty((SERIES, 0, len(samples), HOURS), np.float32), {}
        tokens, present, reliability, x, y = condition_tensors(conditions, self.device)
        prior = self._precompute_kv(tokens, present, reliability, x, y)[1]
        numbers = torch.arange(samples.start, samples.stop, device=self.device)
        level = conditioned(self.posterior, prior, x, y, samples, seed)
        # in blocks of samples that do not depend on how many are asked for
        first = samples.start // SAMPLES * SAMPLES
        aligned = torch.arange(first, first - (first - samples.stop) // SAMPLES * SAMPLES, device=self.device)
        world = World.of(seed, x[:1], y[:1], aligned)
        shape = self.posterior.shape.of_tiles(level.measured, world.shape)
        before = samples.start - first
        prediction, units = level.prediction, level.units.to(self.device)
        memory = self._memory(tokens, present, prediction, shape)
        texture, styles = self.model.representation.texture, self.posterior.shape.styles
        rows = count * len(samples)
        out = np.empty((SERIES, rows, HOURS), np.float32)

        def series(tile: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
            own = tile_noise(seed, x[tile], y[tile], numbers[sample], NOISE_WIDTH)
            bent = shape.noise(own[:, LEVEL_WIDTH:WIDTH], tile, before + sample)
            here = memory.take(tile)
            # the level as far from what was expected before anything was measured
            drawn = here.mean[:, 0] + here.deviation[:, 0] * level.level_noise[tile, sample, 0]
            before_all = (drawn - prior.level[tile, 0]) / prior.spread[tile, 0]
            expected = prior.style[tile]
            of_city = world.style_of_city(prior.city[tile], self.model.prior.city_style, before + sample)
            style = styles.style(
                texture, expected, before_all, own[:, WIDTH:], level.measured[tile.cpu().numpy()], of_city
            )
            told = texture.noise_of(expected, before_all, style)
            noise = torch.cat([level.level_noise[tile, sample], bent, told], dim=1)
            week = self.model.sample(here, None, noise, 0.0, steps, style)
            return rounded(week * units[sample][:, :, None])

        follow_calls(self._calls(series, len(samples), out), rows, progress, cancelled)
        intensities = known_or_estimated(conditions, prior.log_intensity.cpu().numpy())
        return out.reshape(SERIES, count, len(samples), HOURS), intensities

    def _memory(
        self,
        tokens: torch.Tensor,
        present: torch.Tensor,
        prediction: PriorPrediction,
        shape: ConditionedShape,
    ) -> ConditionCache:
        """What the denoiser needs of tiles whose level and shape are partly known, in calls of one size."""
        memories = []
        call_rows = self.rows_a_call
        offset = torch.from_numpy(self.posterior.shape.offset).float().to(self.device)
        for start in range(0, len(tokens), call_rows):
            row = torch.arange(start, start + call_rows, device=self.device).clamp_max(len(tokens) - 1)
            part = prediction.take(row)
            mean = self.model.mean(part)
            mean[:, LEVEL_WIDTH:] += shape.shift[row]
            deviation = torch.cat([part.spread, shape.deviation[row]], dim=1)
            expected = self.model.representation.expected(part.profile) + offset
            memory = self.model.denoiser.precompute_kv(
                tokens[row], present[row], part.summary(), mean, deviation, expected
            )
            kept = torch.arange(min(call_rows, len(tokens) - start), device=self.device)
            memories.append(memory.take(kept))
        return ConditionCache.join(memories)

    def _metadata(
        self, conditions: Conditions, seed: int, guidance_scale: float, steps: int
    ) -> dict[str, Any]:
        found = super()._metadata(conditions, seed, guidance_scale, steps)
        measured = self.posterior.measurements
        scales = self.posterior.scales
        record = measured.record() | {
            "users_unit": "active users" if measured.has_users.any() and measured.unit == MBPS else "relative",
            "weights_scale": scales.weights, "residual_scale": scales.residual, "fields": list(scales.spatial),
        }  # fmt: skip
        assumptions = [line for line in found["assumptions"] if not line.startswith(REPLACED)]
        first = (
            f"The ensemble is conditioned on {len(measured.x):,} measured tiles of {measured.name or 'measurements'}; "
            "elsewhere traffic and users are generated."
        )
        return found | {
            "unit": measured.unit, "measured": record, "assumptions": [first, *assumptions],
            "notes": [*found["notes"], *self.notes],
        }  # fmt: skip


def condition(
    generator: EnsembleGenerator[Any],
    source: OpenDataSource | ConditionSource,
    measurements: Measurements,
    tiles: Tiles | None = None,
    conditions: Conditions | None = None,
) -> ConditionedGenerator:
    """The generator given measured tiles.

    Parameters
    ----------
    source : of the open data, which has to know the measured tiles as well.
    tiles : the area; measured tiles more than NEAR_TILES outside its box are left out. None keeps all.
    conditions : of the area, if at hand: its tiles are not encoded again.

    Raises TableError where none of the measured tiles can be used, ModelError for a model that cannot be conditioned.
    """
    if not isinstance(generator, TrafficGenerator):
        raise ModelError(
            f"The model {generator.name} cannot be conditioned on measurements; use the model default."
        )
    measurements = measurements.sorted()
    notes: list[str] = []
    if tiles is not None:
        measurements, notes = near_area(measurements, tiles)
    known = _conditions_of(generator, source, measurements, conditions)
    row = {key: i for i, key in enumerate(zip(known.tiles["x"], known.tiles["y"], strict=True))}
    order = np.array([row.get(key, -1) for key in zip(measurements.x, measurements.y, strict=True)], np.int64)
    if (order < 0).all():
        raise TableError(
            f"The source {source.name} has no open data of any measured tile; name one that has."
        )
    if (order < 0).any():
        notes.append(
            f"{int((order < 0).sum())} measured tiles have no open data in {source.name} and are left out."
        )
        measurements = measurements.take(order >= 0)
    known = known.take(order[order >= 0])
    with torch.inference_mode():
        prediction = generator._precompute_kv(*condition_tensors(known, generator.device))[1]
        made = posterior(generator.model, prediction, measurements)
    generator.model.representation = generator.model.representation.to(generator.device)
    made_generator = ConditionedGenerator(
        generator.model, generator.name, generator.checksum, generator.device, generator._encoder
    )
    made_generator.keep_embeddings = generator.keep_embeddings
    made_generator.posterior, made_generator.notes = made, tuple(notes)
    return made_generator


def near_area(measurements: Measurements, tiles: Tiles) -> tuple[Measurements, list[str]]:
    """The measured tiles at most NEAR_TILES outside the box of an area, and a sentence on those that are not.

    Raises TableError where all are farther.
    """
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    near = (measurements.x >= x.min() - NEAR_TILES) & (measurements.x <= x.max() + NEAR_TILES)
    near &= (measurements.y >= y.min() - NEAR_TILES) & (measurements.y <= y.max() + NEAR_TILES)
    if not near.any():
        raise TableError(
            f"All {len(near):,} measured tiles lie far outside the area; draw the area around them."
        )
    if near.all():
        return measurements, []
    return measurements.take(near), [
        f"{int((~near).sum())} measured tiles far outside the area are left out."
    ]


def _conditions_of(
    generator: TrafficGenerator, source: OpenDataSource | ConditionSource, measurements: Measurements,
    conditions: Conditions | None,
) -> Conditions:  # fmt: skip
    """Conditions of the measured tiles, of those at hand and of the source for the others."""
    asked = tile_frame(measurements.x, measurements.y)
    if conditions is None or hasattr(source, "conditions"):
        return generator.known_conditions(source, asked)
    keys = set(zip(conditions.tiles["x"], conditions.tiles["y"], strict=True))
    have = np.array([key in keys for key in zip(asked["x"], asked["y"], strict=True)], bool)
    mine = set(zip(measurements.x.tolist(), measurements.y.tolist(), strict=True))
    rows = np.array(
        [key in mine for key in zip(conditions.tiles["x"], conditions.tiles["y"], strict=True)], bool
    )
    parts = conditions.take(rows)
    if have.all():
        return parts
    others = generator.known_conditions(source, tile_frame(asked["x"][~have], asked["y"][~have]))
    return join(parts, others)


def join(one: Conditions, other: Conditions) -> Conditions:
    """The tiles of both, in the order (x, y)."""
    x = np.concatenate([one.tiles["x"], other.tiles["x"]])
    y = np.concatenate([one.tiles["y"], other.tiles["y"]])
    order = np.lexsort((y, x))
    tokens, present, reliability = (
        np.concatenate([getattr(one, name), getattr(other, name)])[order]
        for name in ("tokens", "present", "reliability")
    )
    names = set(one.intensities) & set(other.intensities)
    intensities = {
        name: np.concatenate([one.intensities[name], other.intensities[name]])[order] for name in names
    }
    share = np.concatenate([one.tiles["covered_share"], other.tiles["covered_share"]])
    return replace(
        one,
        tiles=tile_frame(x, y, share),
        intensities=intensities,
        tokens=tokens,
        present=present,
        reliability=reliability,
    )
