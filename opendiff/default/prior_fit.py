"""How the prior is fitted: one Bayesian linear regression a pattern of known modalities, judged block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from opendiff.conditions import INTENSITIES, MODALITIES, TOKEN_PARTS, Conditions
from opendiff.default.model import TrafficModel
from opendiff.default.prior import PATTERNS, Belief, Prior, mixed, pattern_number
from opendiff.default.representation import LEVEL_WIDTH, with_whitening
from opendiff.progress import Report

LEAST_TILES = 20  # a pattern known in fewer tiles is left to the nearest pattern that is known in more
INTERCEPT_VARIANCE = 100.0  # of outputs of unit variance: nothing is assumed of their mean
START = (-2.5, -0.5)  # log standard deviation of a token part's weights, and of the noise, before fitting
LOG_WIDTHS = (-6.0, 3.0)  # bounds of both
MOST_ITERATIONS = 50
HYPERPRIOR = 2.0  # precision of the log widths about START: parts that tell nothing stay small


def fit_prior(
    model: TrafficModel,
    conditions: Conditions,
    truth: Tensor,
    intensities: np.ndarray,
    blocks: np.ndarray,
    report: Report | None = None,
) -> list[Belief]:
    """Fit the prior, and the whitening of what it leaves open; truth (tiles, 2, 168).

    Returns what the prior believes of each tile without having seen its block, under each pattern of modalities: the
    tile keeps those of the pattern that it has.
    """
    representation, prior = model.representation, model.prior
    known = pattern_number(torch.from_numpy(conditions.present)).numpy()
    tokens = conditions.tokens.astype(float)
    level = representation.level(truth).double().numpy()
    shape = representation.shape_residual(truth).double().numpy()
    profiles = representation.profiles.double().numpy()
    weekly = shape @ profiles.T
    stand_in = stand_ins(known)
    fitted: dict[int, PatternFit] = {}
    for number, pattern in enumerate(sorted(set(stand_in))):
        rows = np.flatnonzero((known & pattern) == pattern)
        columns, parts = token_parts(pattern)
        fitted[pattern] = PatternFit.of(
            rows, columns, tokens[np.ix_(rows, columns)], parts, blocks[rows], level[rows], weekly[rows],
            intensities[rows], shape[rows], profiles,
        )  # fmt: skip
        if report:
            report("prior", number + 1, len(set(stand_in)))
    for pattern in range(PATTERNS):
        fitted[stand_in[pattern]].put(prior, pattern)
    noise = {pattern: fit.level_spread[0] for pattern, fit in fitted.items()}
    prior.committee.copy_(torch.from_numpy(committee(stand_in, noise)))

    def shape_error(belief: Belief) -> np.ndarray:
        """What the belief leaves open of the shapes, in units of its own spread, (tiles, 336)."""
        error = shape - belief.profile.double().numpy() @ profiles
        return error / belief.spread[:, LEVEL_WIDTH:].double().numpy()

    everything = left_out_belief(prior, fitted, known, PATTERNS - 1)
    model.representation = with_whitening(representation, shape_error(everything))
    whiten = model.representation.whiten.double().numpy()
    white = {
        pattern: shape_error(left_out_belief(prior, fitted, known, pattern))[fit.rows] @ whiten
        for pattern, fit in fitted.items()
    }
    for pattern in range(PATTERNS):
        prior.shape_spread[pattern] = float(np.sqrt(np.square(white[stand_in[pattern]]).mean()))
    return [left_out_belief(prior, fitted, known, pattern) for pattern in range(PATTERNS)]


def left_out_belief(prior: Prior, fitted: dict[int, PatternFit], known: np.ndarray, pattern: int) -> Belief:
    """The belief of all tiles, none having seen its block, when each keeps those modalities of `pattern` that it has.

    known: (tiles,) patterns of the tiles. As `Prior.forward`, with what was left out in the place of the regressions.
    """
    count = len(known)
    mean, level_spread = torch.zeros(count, prior.outputs), torch.ones(count, LEVEL_WIDTH)
    shape_spread = torch.ones(count)
    for kept in np.unique(known & pattern):
        inside = np.flatnonzero((known & pattern) == kept)
        share = prior.committee[kept]
        members = [fitted[int(member)] for member in torch.nonzero(share)[:, 0]]
        places = [np.searchsorted(fit.rows, inside) for fit in members]
        means = [fit.left_out[place] for fit, place in zip(members, places, strict=True)]
        spreads = [fit.left_out_level_spread[place] for fit, place in zip(members, places, strict=True)]
        mean[inside], level_spread[inside] = mixed(
            share[share > 0].expand(len(inside), -1),
            torch.from_numpy(np.stack(means, axis=1)).float(),
            torch.from_numpy(np.stack(spreads, axis=1)).float(),
        )
        shape_spread[inside] = prior.shape_spread[kept]
    return prior.believe(mean, level_spread, shape_spread)


def stand_ins(known: np.ndarray) -> np.ndarray:
    """For each pattern the one whose regression serves it, (PATTERNS,): itself where LEAST_TILES tiles know it, else
    the pattern within it that has the most modalities, then the most tiles. known: (tiles,) patterns of tiles."""
    tiles = np.array([((known & pattern) == pattern).sum() for pattern in range(PATTERNS)])
    usable = [pattern for pattern in range(PATTERNS) if tiles[pattern] >= LEAST_TILES or pattern == 0]

    def best_within(pattern: int) -> int:
        inside = [other for other in usable if other & pattern == other]
        return max(inside, key=lambda other: (other.bit_count(), tiles[other]))

    return np.array([best_within(pattern) for pattern in range(PATTERNS)])


def committee(stand_in: np.ndarray, noise: dict[int, float]) -> np.ndarray:
    """Share of each pattern's regression in the belief of a pattern, (PATTERNS, PATTERNS), rows sum to 1.

    Members are the pattern itself and those that know one modality less, each by the inverse square of its noise
    variance, so that one which lacks what tells most hardly counts. noise: of the level, of each fitted pattern.
    """
    share = np.zeros((PATTERNS, PATTERNS))
    for pattern in range(PATTERNS):
        lesser = [
            pattern & ~(1 << modality) for modality in range(len(MODALITIES)) if pattern >> modality & 1
        ]
        for member in {int(stand_in[other]) for other in (pattern, *lesser)}:
            share[pattern, member] = noise[member] ** -4.0
    return share / share.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class PatternFit:
    """The regressions of one pattern: columns of the tokens it knows, weight (columns + 1, outputs), doubt (level
    coordinates, columns + 1, columns + 1), level_spread (level coordinates,); and for the training tiles `rows` the
    outputs and level spreads without their own block."""

    rows: np.ndarray
    columns: np.ndarray
    weight: np.ndarray
    doubt: np.ndarray
    level_spread: np.ndarray
    left_out: np.ndarray
    left_out_level_spread: np.ndarray

    @staticmethod
    def of(
        rows: np.ndarray,
        columns: np.ndarray,
        tokens: np.ndarray,
        parts: np.ndarray,
        blocks: np.ndarray,
        level: np.ndarray,
        weekly: np.ndarray,
        intensities: np.ndarray,
        shape: np.ndarray,
        profiles: np.ndarray,
    ) -> PatternFit:
        """The regressions of a pattern that the tiles `rows` know.

        columns, parts: of its tokens (`token_parts`); profiles: (components, 336). The others have a row for each of
        `rows`: tokens (rows, columns), blocks (rows,), level (rows, 2), weekly (rows, components) coefficients of the
        profiles, intensities (rows, 3) with NaN where unknown, shape (rows, 336).
        """
        levels = [regress(tokens, parts, level[:, [i]], blocks) for i in range(LEVEL_WIDTH)]
        profile = regress(tokens, parts, weekly, blocks)
        error = shape - profile.left_out @ profiles
        energy = np.square(error).mean(axis=1)
        log_spread = regress(tokens, parts, 0.5 * np.log(energy / energy.mean())[:, None], blocks)
        counted = [regress_known(tokens, parts, intensities[:, i], blocks) for i in range(len(INTENSITIES))]
        every = [*levels, profile, *counted, log_spread]
        return PatternFit(
            rows, columns, np.concatenate([one.weight for one in every], axis=1),
            np.stack([one.doubt for one in levels]), np.concatenate([one.noise for one in levels]),
            np.concatenate([one.left_out for one in every], axis=1),
            np.column_stack([one.noise * np.sqrt(1 + one.left_out_doubt) for one in levels]),
        )  # fmt: skip

    def put(self, prior: Prior, pattern: int) -> None:
        """Make these the regressions of a pattern of the prior."""
        as_tensor = lambda values: torch.from_numpy(np.asarray(values)).float()  # noqa: E731
        columns = torch.from_numpy(self.columns)
        prior.weight[pattern].zero_()
        prior.weight[pattern, columns] = as_tensor(self.weight[:-1])
        prior.bias[pattern] = as_tensor(self.weight[-1])
        every = torch.cat([columns, torch.tensor([prior.doubt.shape[-1] - 1])])
        prior.doubt[pattern].zero_()
        for level in range(LEVEL_WIDTH):
            prior.doubt[pattern, level][every[:, None], every] = as_tensor(self.doubt[level])
        prior.level_spread[pattern] = as_tensor(self.level_spread)


@dataclass(frozen=True)
class Regression:
    """A fitted regression of outputs that share the widths of their weights.

    weight (tokens + 1, outputs), the last row the bias; noise (outputs,) standard deviation of what tokens leave open;
    doubt (tokens + 1, tokens + 1) posterior covariance of the weights over noise², so that the variance of a prediction
    is noise² (1 + tᵀ doubt t). left_out (rows, outputs) predicts each row without its block, left_out_doubt (rows,) is
    its tᵀ doubt t.
    """

    weight: np.ndarray
    doubt: np.ndarray
    noise: np.ndarray
    left_out: np.ndarray
    left_out_doubt: np.ndarray


def regress(tokens: np.ndarray, parts: np.ndarray, outputs: np.ndarray, blocks: np.ndarray) -> Regression:
    """Bayesian linear regression of outputs (rows, outputs) on tokens (rows, tokens).

    parts: (tokens,) number of the part of each token, whose weights share a width; blocks: (rows,) spatial block of
    each row. Rows may not hold NaN.
    """
    mean, scale = outputs.mean(axis=0), outputs.std(axis=0) + 1e-9
    standard = (outputs - mean) / scale
    found = posterior(tokens, parts, standard, blocks, likeliest_widths(tokens, parts, standard))
    weight = found.weight * scale
    weight[-1] += mean
    return Regression(
        weight, found.doubt, found.noise * scale, found.left_out * scale + mean, found.left_out_doubt
    )


def likeliest_widths(tokens: np.ndarray, parts: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Log standard deviations of the weights of each part, and of the noise last, that make outputs (rows, outputs) of
    unit variance likeliest under the hyperprior (MacKay 1992)."""
    grams = [tokens[:, parts == part] @ tokens[:, parts == part].T for part in np.unique(parts)]
    rows, count = outputs.shape
    start = np.append(np.full(len(grams), START[0]), START[1])

    def loss(log_widths: np.ndarray) -> tuple[float, np.ndarray]:
        weights = np.exp(2 * log_widths)
        covariance = INTERCEPT_VARIANCE + weights[-1] * np.eye(rows)
        for weight, gram in zip(weights[:-1], grams, strict=True):
            covariance += weight * gram
        inverse = np.linalg.inv(covariance)
        fitted = inverse @ outputs
        apart = log_widths - start
        value = 0.5 * (outputs * fitted).sum() + 0.5 * count * np.linalg.slogdet(covariance)[1]
        inner = count * inverse - fitted @ fitted.T
        slopes = np.array([(inner * gram).sum() for gram in grams] + [np.trace(inner)]) * weights
        return value + 0.5 * HYPERPRIOR * (apart**2).sum(), slopes + HYPERPRIOR * apart

    bounds = [LOG_WIDTHS] * len(start)
    return minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MOST_ITERATIONS}
    ).x


def posterior(
    tokens: np.ndarray, parts: np.ndarray, outputs: np.ndarray, blocks: np.ndarray, log_widths: np.ndarray
) -> Regression:
    """The regression with given widths (`likeliest_widths`).

    What it would predict for a block without having seen it follows from the inverse A of the rows' covariance: errors
    A_bb⁻¹ (A y)_b with covariance A_bb⁻¹ (Rasmussen and Williams 2006, section 5.4.2, for blocks). The noise of each
    output is then set by these errors.
    """
    variance = np.exp(2 * log_widths)
    prior = np.append(variance[np.searchsorted(np.unique(parts), parts)], INTERCEPT_VARIANCE)
    design = np.column_stack([tokens, np.ones(len(tokens))])
    spread = design * prior
    inverse = np.linalg.inv(spread @ design.T + variance[-1] * np.eye(len(tokens)))
    fitted = inverse @ outputs
    error, error_variance = np.zeros_like(outputs), np.zeros(len(tokens))
    for block in np.unique(blocks):
        inside = np.flatnonzero(blocks == block)
        own = np.linalg.inv(inverse[np.ix_(inside, inside)])
        error[inside], error_variance[inside] = own @ fitted[inside], np.diag(own)
    doubt = (np.diag(prior) - spread.T @ inverse @ spread) / variance[-1]
    relative = error_variance / variance[-1]
    noise = np.sqrt((error**2 / relative[:, None]).mean(axis=0))
    return Regression(spread.T @ fitted, doubt, noise, outputs - error, relative - 1)


def token_parts(pattern: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the tokens that a pattern knows, and the number of the part of each."""
    columns: list[int] = []
    parts: list[int] = []
    start = part = 0
    for modality, widths in enumerate(TOKEN_PARTS):
        for width in widths:
            if pattern >> modality & 1:
                columns.extend(range(start, start + width))
                parts.extend([part] * width)
            start, part = start + width, part + 1
    return np.array(columns, int), np.array(parts, int)


def regress_known(
    tokens: np.ndarray, parts: np.ndarray, output: np.ndarray, blocks: np.ndarray
) -> Regression:
    """The regression of one output (rows,) fitted where it is known; an output that is known nowhere is taken as 0."""
    known = np.isfinite(output)
    if known.sum() < LEAST_TILES:
        nothing = np.zeros((tokens.shape[1] + 1, 1))
        return Regression(
            nothing, nothing @ nothing.T, np.ones(1), np.zeros((len(output), 1)), np.zeros(len(output))
        )
    found = regress(tokens[known], parts, output[known, None], blocks[known])
    left_out = np.column_stack([tokens, np.ones(len(tokens))]) @ found.weight
    left_out[known] = found.left_out
    return Regression(found.weight, found.doubt, found.noise, left_out, np.zeros(len(output)))
