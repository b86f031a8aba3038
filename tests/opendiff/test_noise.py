"""Philox against the known answers of its authors, and the noise against the normal distribution."""

import numpy as np
import pytest
import torch
from scipy import stats

from opendiff.noise import mirrored_noise, philox, tile_noise

# kat_vectors of Random123 (Salmon et al. 2011), philox4x32-10: counter, key, answer
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_answers_published_with_it(counter, key, answer):
    assert philox(torch.tensor([counter]), key)[0].tolist() == list(answer)


def rows(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    index = torch.arange(count)
    return 26900 + index % 7, 13600 + index // 7 % 5, index // 35


def test_noise_is_standard_normal_and_uncorrelated():
    noise = tile_noise(5, *rows(400), 338).numpy()
    assert stats.kstest(noise.reshape(-1), "norm").pvalue > 1e-3
    correlation = np.corrcoef(noise)
    assert np.abs(correlation[np.triu_indices(400, 1)]).max() < 0.35  # 5.5 standard errors of 1 / sqrt(338)


def test_noise_of_a_row_depends_on_that_row_only():
    x, y, sample = rows(70)
    whole = tile_noise(9, x, y, sample, 50)
    order = torch.randperm(70)
    assert torch.equal(tile_noise(9, x[order], y[order], sample[order], 50), whole[order])
    assert torch.equal(tile_noise(9, x[3:4], y[3:4], sample[3:4], 50), whole[3:4])


def test_seeds_differ_also_above_32_bits():
    x, y, sample = rows(3)
    one, other, high = (tile_noise(seed, x, y, sample, 40) for seed in (0, 1, 2**32))
    assert not torch.equal(one, other) and not torch.equal(one, high)


def test_streams_are_independent_and_the_first_is_what_it_was():
    x, y, sample = rows(60)
    plain = tile_noise(5, x, y, sample, 336)
    assert torch.equal(tile_noise(5, x, y, sample, 336, stream=0), plain)
    other = tile_noise(5, x, y, sample, 336, stream=400)
    assert stats.kstest(other.numpy().reshape(-1), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(plain.reshape(-1), other.reshape(-1))[0, 1]) < 0.03
    assert torch.equal(tile_noise(5, x[7:8], y[7:8], sample[7:8], 336, stream=400), other[7:8])


def test_noise_does_not_change_between_versions():
    """The first numbers of one tile, as they were before streams: tables of old seeds stay what they are."""
    noise = tile_noise(0, torch.tensor([26913]), torch.tensor([13652]), torch.tensor([0]), 338)
    assert noise[0, :3].tolist() == pytest.approx([-1.3555311, 1.7888838, 1.0483458], rel=1e-6)


def test_samples_of_a_pair_are_mirror_images_whatever_is_asked_for():
    x, y = (axis.repeat_interleave(6) for axis in (torch.tensor([7, 3, 9]), torch.tensor([1, 8, 4])))
    sample = torch.arange(6).repeat(3)
    whole = mirrored_noise(3, x, y, sample, 10)
    torch.testing.assert_close(whole[0::2], -whole[1::2], rtol=0, atol=0)
    assert torch.equal(whole[0::2], tile_noise(3, x[0::2], y[0::2], sample[0::2] // 2, 10))
    for rows in ([0, 1], [1, 2, 3, 4], [5, 4, 17], [3]):  # pairs whole, cut, turned round, and a half alone
        assert torch.equal(mirrored_noise(3, x[rows], y[rows], sample[rows], 10), whole[rows])
