"""The denoising network: attention as the equations say it, and no row that sees another."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from opendiff.paper.attention import self_attention
from opendiff.paper.denoiser import Denoiser, DenoiserConfig

SMALL = DenoiserConfig(
    layers=2, channels=16, heads=4, step_width=16, hour_width=16, condition_width=8, tokens=3
)


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    torch.manual_seed(0)
    net = Denoiser(SMALL).eval()
    torch.nn.init.normal_(net.series_out.weight)
    return net


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, condition = (torch.randn(*shape, generator=generator) for shape in ((5, 2, 168), (5, 8)))
    return x, torch.tensor([0, 7, 100, 399, 20]), condition


def test_the_fast_attention_is_the_usual_one():
    mixed = torch.randn(6, 168, 96, generator=torch.Generator().manual_seed(0)) * 2
    query, key, value = (part.unflatten(-1, (4, 8)).transpose(1, 2) for part in mixed.chunk(3, -1))
    expected = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(self_attention(mixed, 4), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(self_attention(mixed.requires_grad_(), 4), expected)


def test_folded_attention_is_eq_9_and_10(denoiser, inputs):
    """Keys and values computed once a tile, with the query's weights folded in, give softmax(Q K / sqrt d) V."""
    layer, condition = denoiser.layers[0], inputs[2]
    h = torch.randn(5, 168, 16, generator=torch.Generator().manual_seed(2))
    memory = layer.precompute_kv(condition)
    keys, values = layer.key_value(condition).chunk(2, -1)
    keys, values = (
        part.view(5, 3, 4, 4).transpose(1, 2) for part in (keys, values)
    )  # rows, heads, tokens, width
    query = layer.query(h).view(5, 168, 4, 4).transpose(1, 2)
    share = torch.softmax(query @ keys.transpose(-1, -2) / math.sqrt(4), -1)
    torch.testing.assert_close(layer.share(h, memory), share.transpose(1, 2), rtol=1e-4, atol=1e-5)
    attended = layer.cross_out((share @ values).transpose(1, 2).flatten(2))
    expected = layer.norm_cross(h + attended)
    expected = layer.norm_cross_feed(expected + layer.cross_feed(expected))
    torch.testing.assert_close(layer.to_condition(h, memory), expected, rtol=1e-4, atol=1e-5)


def test_attention_differs_between_hours_and_with_one_token_it_cannot(denoiser, inputs):
    layer = denoiser.layers[0]
    h = torch.randn(5, 168, 16, generator=torch.Generator().manual_seed(2))
    assert layer.share(h, layer.precompute_kv(inputs[2])).std(1).min() > 1e-3
    single = Denoiser(DenoiserConfig(**{**vars(SMALL), "tokens": 1})).layers[0]
    assert torch.all(single.share(h, single.precompute_kv(inputs[2])) == 1)


def test_rows_do_not_see_each_other(denoiser, inputs):
    x, step, condition = inputs
    with torch.inference_mode():
        before = denoiser(x, step, denoiser.precompute_kv(condition))
        x, step, condition = x.clone(), step.clone(), condition.clone()
        x[2], step[2], condition[2] = 9.0, 300, -3.0
        after = denoiser(x, step, denoiser.precompute_kv(condition))
    others = [0, 1, 3, 4]
    assert torch.equal(before[others], after[others]) and not torch.allclose(before[2], after[2])


def test_two_conditions_in_one_batch_are_two_passes(denoiser, inputs):
    x, _, condition = inputs
    step = torch.tensor([50])
    with torch.inference_mode():
        told, empty = denoiser.precompute_kv(condition), denoiser.precompute_kv(torch.zeros_like(condition))
        both = denoiser(x, step, told.followed_by(empty))
        torch.testing.assert_close(both[:5], denoiser(x, step, told))
        torch.testing.assert_close(both[5:], denoiser(x, step, empty))
    assert not torch.allclose(both[:5], both[5:], atol=1e-3)


def test_every_hour_and_the_step_matter(denoiser, inputs):
    x, step, condition = inputs
    with torch.inference_mode():
        memory = denoiser.precompute_kv(condition)
        plain = denoiser(x, step, memory)
        assert not torch.allclose(
            plain, denoiser(x, step + 0 * step + 1 - (step == 399).long() * 2, memory), atol=1e-5
        )
        rolled = denoiser(x.roll(5, -1), step, memory).roll(-5, -1)
    assert not torch.allclose(plain, rolled, atol=1e-3)  # it knows which hour is which


def test_the_denoiser_has_fewer_parameters_than_the_published_one():
    count = sum(parameter.numel() for parameter in Denoiser().parameters())
    assert 4e5 < count < 2.3e6


def test_several_hours_a_token_give_noise_of_the_same_shape():
    config = dataclasses.replace(SMALL, patch=6)
    network = Denoiser(config).eval()
    torch.nn.init.normal_(network.series_out.weight)
    memory = network.precompute_kv(torch.randn(3, config.condition_width))
    week = torch.randn(3, 2, 168)
    with torch.no_grad():
        whole = network(week, torch.tensor([1]), memory)
        assert whole.shape == (3, 2, 168)
        again = network(week.flip(0), torch.tensor([1]), memory.take(torch.tensor([2, 1, 0]))).flip(0)
    assert torch.allclose(whole, again, atol=1e-5)
