"""The prior's regressions against another library and against refits that leave blocks out."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct

from opendiff.conditions import MODALITIES, TOKEN_PARTS, TOKEN_WIDTHS, TOKENS_WIDTH
from opendiff.default.prior import PATTERNS, Prior, mixed, pattern_mask
from opendiff.default.prior_fit import (
    INTERCEPT_VARIANCE,
    LEAST_TILES,
    committee,
    likeliest_widths,
    posterior,
    regress,
    stand_ins,
    token_parts,
)

ONE_PART = np.zeros(3, int)


def made_rows(rows: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens (rows, 3), one output that the first two tokens move, and blocks of five rows."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(rows, 3))
    output = tokens[:, [0]] - 0.5 * tokens[:, [1]] + 0.3 * rng.normal(size=(rows, 1))
    return tokens, output, np.arange(rows) // 5


def test_posterior_agrees_with_gaussian_process_regression():
    tokens, output, blocks = made_rows()
    log_widths = np.array([-0.2, -1.0])
    ours = posterior(tokens, ONE_PART, output, blocks, log_widths)
    kernel = ConstantKernel(np.exp(2 * log_widths[0]), "fixed") * DotProduct(0.0, "fixed")
    kernel += ConstantKernel(INTERCEPT_VARIANCE, "fixed")
    theirs = GaussianProcessRegressor(kernel, alpha=np.exp(2 * log_widths[1]), optimizer=None)
    theirs.fit(tokens, output[:, 0])
    new = np.random.default_rng(1).normal(size=(7, 3)) * 3
    mean, deviation = theirs.predict(new, return_std=True)
    design = np.column_stack([new, np.ones(7)])
    np.testing.assert_allclose((design @ ours.weight)[:, 0], mean, rtol=1e-6)
    spread = np.einsum("nt,tu,nu->n", design, ours.doubt, design) * np.exp(2 * log_widths[1])
    np.testing.assert_allclose(spread, deviation**2, rtol=1e-5)


def test_blocks_left_out_in_closed_form_equal_refits():
    tokens, output, blocks = made_rows()
    log_widths = np.array([-0.2, -1.0])
    ours = posterior(tokens, ONE_PART, output, blocks, log_widths)
    for block in (0, 4, 11):
        inside = blocks == block
        rest = posterior(tokens[~inside], ONE_PART, output[~inside], blocks[~inside], log_widths)
        design = np.column_stack([tokens[inside], np.ones(inside.sum())])
        np.testing.assert_allclose(ours.left_out[inside], design @ rest.weight, rtol=1e-7)
        doubt = np.einsum("nt,tu,nu->n", design, rest.doubt, design)
        np.testing.assert_allclose(ours.left_out_doubt[inside], doubt, rtol=1e-6)


def test_likeliest_widths_are_a_minimum_and_shrink_what_tells_nothing():
    tokens, output, blocks = made_rows(200)
    standard = (output - output.mean()) / output.std()
    parts = np.array([0, 0, 1])
    log_widths = likeliest_widths(tokens, parts, standard)
    assert log_widths[0] > log_widths[1] + 1
    assert np.exp(log_widths[-1]) == pytest.approx(0.3 / output.std(), rel=0.2)
    found = regress(tokens, parts, output, blocks)
    np.testing.assert_allclose(found.weight[:, 0], [1, -0.5, 0, 0], atol=0.08)
    assert found.noise[0] == pytest.approx(0.3, rel=0.15)


def test_intervals_of_new_rows_hold_what_they_should():
    new_tokens, new_output, _ = made_rows(1000, 99)
    design = np.column_stack([new_tokens, np.ones(1000)])
    inside = []
    for seed in range(12):
        tokens, output, blocks = made_rows(40, seed)
        found = regress(tokens, ONE_PART, output, blocks)
        spread = found.noise * np.sqrt(1 + np.einsum("nt,tu,nu->n", design, found.doubt, design))
        inside.append(np.abs(new_output - design @ found.weight)[:, 0] < 1.645 * spread)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.04)


def test_token_parts_are_the_columns_of_the_modalities():
    columns, parts = token_parts(PATTERNS - 1)
    assert columns.tolist() == list(range(TOKENS_WIDTH))
    assert [int((parts == part).sum()) for part in np.unique(parts)] == [w for ws in TOKEN_PARTS for w in ws]
    columns, _ = token_parts(1 << MODALITIES.index("poi"))
    assert columns.tolist() == list(range(TOKEN_WIDTHS[0], sum(TOKEN_WIDTHS[:2])))


def test_a_pattern_that_few_tiles_know_is_served_by_one_within_it():
    poi, osm_poi, imagery = (1 << MODALITIES.index(name) for name in ("poi", "osm_poi", "imagery"))
    known = np.full(3 * LEAST_TILES, poi)
    known[:LEAST_TILES] |= imagery
    serves = stand_ins(known)
    assert serves[0] == 0 and serves[poi] == poi and serves[osm_poi] == 0
    assert serves[poi | imagery] == poi | imagery and serves[poi | imagery | osm_poi] == poi | imagery


def test_a_belief_ignores_tokens_that_are_absent_and_doubts_what_is_far_away():
    prior = Prior(3)
    torch.manual_seed(0)
    torch.nn.init.normal_(prior.weight)
    prior.doubt.copy_(torch.eye(TOKENS_WIDTH + 1).expand_as(prior.doubt) * 0.01)
    present = pattern_mask(torch.tensor([5]))
    tokens = torch.randn(1, TOKENS_WIDTH)
    other = torch.where(present.repeat_interleave(torch.tensor(TOKEN_WIDTHS), dim=1), tokens, 9.0)
    torch.testing.assert_close(prior(tokens, present).level, prior(other, present).level)
    near, far = (prior(tokens * factor, present).spread[0, 0] for factor in (1, 20))
    assert far > 2 * near


def test_a_mixture_has_the_moments_of_draws_from_its_members():
    share = torch.tensor([[0.3, 0.7]])
    means, spreads = torch.tensor([[[1.0, 0.0], [3.0, 0.5]]]), torch.tensor([[[0.5, 1.0], [0.2, 2.0]]])
    mean, spread = mixed(share, means, spreads)
    rng = np.random.default_rng(0)
    member = rng.choice(2, 400_000, p=[0.3, 0.7])
    drawn = means[0].numpy()[member] + spreads[0].numpy()[member] * rng.normal(size=(member.size, 2))
    np.testing.assert_allclose(mean[0], drawn.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(spread[0], drawn.std(axis=0), atol=0.01)


def test_a_committee_leaves_out_one_modality_at_most_and_trusts_the_less_noisy():
    share = committee(np.arange(PATTERNS), {pattern: 1.0 / (1 + pattern) for pattern in range(PATTERNS)})
    np.testing.assert_allclose(share.sum(axis=1), 1)
    assert set(np.flatnonzero(share[0b1011])) == {0b1011, 0b0011, 0b1001, 0b1010}
    assert share[0b1011].argmax() == 0b1011 and share[0, 0] == 1
