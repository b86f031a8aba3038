"""Prior, denoiser and losses against closed forms; checkpoints against damage."""

import numpy as np
import pytest
import torch

from opendiff.conditions import MODALITIES, TOKEN_WIDTHS, TOKENS_WIDTH
from opendiff.default.denoiser import gaussian_denoiser
from opendiff.default.model import ModelConfig, TrafficModel, load_model
from opendiff.default.representation import NOISE_WIDTH
from opendiff.default.texture import STYLES
from opendiff.default.training import draw_patterns
from opendiff.device import rounded
from opendiff.encoder.contrastive import multi_positive_loss
from opendiff.errors import ModelError
from opendiff.storage.checkpoint import read_checkpoint, write_checkpoint
from opendiff.storage.checksums import write_checksums


def believed(model: TrafficModel, tokens: torch.Tensor, present: torch.Tensor):
    """The prior's prediction of tiles far from any training city."""
    rows = len(tokens)
    place = torch.arange(rows)
    return model.prior(tokens, present, torch.full((rows,), 0.8), place, place)


SMALL = ModelConfig(width=16, heads=2, layers=1)


def test_gaussian_denoiser_is_the_posterior_mean():
    """x_t = (1 - t) x_0 + t e: the best linear estimate of x_0 from x_t, by regression on draws."""
    rng = np.random.default_rng(1)
    mean, deviation, t = 0.7, 1.8, 0.4
    clean = mean + deviation * rng.normal(size=400_000)
    noised = (1 - t) * clean + t * rng.normal(size=clean.size)
    slope, intercept = np.polyfit(noised, clean, 1)
    x = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    expected, _, _ = gaussian_denoiser(x, torch.tensor(t), torch.tensor([mean]), torch.tensor([deviation]))
    np.testing.assert_allclose(expected[:, 0], slope * x[:, 0].numpy() + intercept, atol=0.02)
    assert np.std((noised - (1 - t) * mean) / np.sqrt((1 - t) ** 2 * deviation**2 + t**2)) == pytest.approx(
        1, abs=0.01
    )


def test_multi_positive_loss_agrees_with_a_loop():
    embedded = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    positive = torch.zeros(6, 6, dtype=torch.bool)
    positive[torch.arange(6), (torch.arange(6) + 1) % 6] = True
    positive[0, 3] = True
    unit = (embedded / embedded.norm(dim=1, keepdim=True)).numpy()
    losses = []
    for i in range(6):
        others = [a for a in range(6) if a != i]
        total = sum(np.exp(unit[i] @ unit[a] / 0.1) for a in others)
        terms = [-np.log(np.exp(unit[i] @ unit[p] / 0.1) / total) for p in range(6) if positive[i, p]]
        losses.append(np.mean(terms))
    assert multi_positive_loss(embedded, positive, 0.1).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_an_untrained_denoiser_is_the_closed_form():
    model = TrafficModel(SMALL)
    tokens, present = torch.randn(5, TOKENS_WIDTH), torch.ones(5, len(MODALITIES), dtype=torch.bool)
    memory = model.precompute_kv(tokens, present, believed(model, tokens, present))
    x, t = torch.randn(5, 338), torch.tensor(0.3)
    expected = gaussian_denoiser(x, t, memory.mean, memory.deviation)[0]
    torch.testing.assert_close(model.denoiser(x, t, memory, torch.randn(5, STYLES)), expected)


def test_absent_modalities_do_not_reach_the_output():
    """Whatever stands in the tokens of a modality that is absent, prediction and denoised vector stay the same."""
    torch.manual_seed(0)
    model = TrafficModel(SMALL).eval()
    torch.nn.init.normal_(model.denoiser.day_out.weight)
    torch.nn.init.normal_(model.prior.weight)
    present = torch.arange(len(MODALITIES))[None] % 2 == 0
    x, t, style = torch.randn(1, 338), torch.tensor(0.5), torch.randn(1, STYLES)
    results = []
    for seed in (1, 2):
        tokens = torch.ones(1, TOKENS_WIDTH)
        noise = torch.randn(1, TOKENS_WIDTH, generator=torch.Generator().manual_seed(seed))
        absent = ~present.repeat_interleave(torch.tensor(TOKEN_WIDTHS), dim=1)
        given = torch.where(absent, noise, tokens)
        memory = model.precompute_kv(given, present, believed(model, given, present))
        results.append(model.denoiser(x, t, memory, style))
    torch.testing.assert_close(results[0], results[1])
    # each modality does reach it where it is present, and in its absence says something else than zeros
    every = torch.ones_like(present)
    told = {}
    for number in (None, *range(len(MODALITIES))):
        known = every.clone()
        if number is not None:
            known[:, number] = False
        memory = model.precompute_kv(tokens, known, believed(model, tokens, known))
        told[number] = model.denoiser(x, t, memory, style)
    for number in range(len(MODALITIES)):
        assert not torch.allclose(told[number], told[None], atol=1e-4), MODALITIES[number]


def test_rows_keep_all_none_or_some_modalities():
    drawn = draw_patterns(20_000, 12, 0.1, torch.device("cpu"))
    assert (drawn == 1).float().mean().item() == pytest.approx(0.1 + 0.9 * 0.4 / 12, abs=0.01)
    assert (drawn == 0).float().mean().item() == pytest.approx(0.9 * (0.6 + 0.4 / 12), abs=0.015)


def test_the_level_is_its_mean_and_its_noise():
    """Whatever the denoiser does, the level of a week is the prior's mean plus its deviation times the noise."""
    torch.manual_seed(0)
    model = TrafficModel(SMALL).eval()
    torch.nn.init.normal_(model.denoiser.day_out.weight)
    tokens, present = torch.randn(6, TOKENS_WIDTH), torch.ones(6, len(MODALITIES), dtype=torch.bool)
    memory = model.precompute_kv(tokens, present, believed(model, tokens, present))
    noise = torch.randn(6, NOISE_WIDTH)
    week = model.sample(memory, None, noise, 0.0, 2, torch.randn(6, STYLES) / 3 - 1)
    level = model.representation.level(week)
    expected = memory.mean[:, :2] + memory.deviation[:, :2] * noise[:, :2]
    torch.testing.assert_close(level, expected, rtol=1e-3, atol=1e-3)


def test_rounding_hides_last_bits_only():
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 1e-3
    nudged = torch.nextafter(values, torch.tensor(2.0))
    assert (rounded(values) == rounded(nudged)).float().mean() > 0.95
    torch.testing.assert_close(rounded(values), values, rtol=1e-5, atol=0)


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    torch.manual_seed(0)
    model = TrafficModel(SMALL)
    path = tmp_path / "default.safetensors"
    checksum = model.save(path, {"command": "test"})
    write_checksums(tmp_path)
    again, read_checksum = load_model(path)
    assert checksum == read_checksum and again.config == SMALL
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_damage_is_named(tmp_path):
    path = tmp_path / "default.safetensors"
    TrafficModel(SMALL).save(path, {})
    write_checksums(tmp_path)
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="checksum"):
        load_model(path)
    path.write_bytes(b"nonsense")
    write_checksums(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(path)
    with pytest.raises(ModelError, match="no weights"):
        load_model(tmp_path / "absent.safetensors")


def test_weights_without_their_checksum_are_refused(tmp_path):
    """Neither the list nor the line may be missing; `sha256sum` writes both forms of a line."""
    path, list_ = tmp_path / "default.safetensors", tmp_path / "SHA256SUMS"
    digest = TrafficModel(SMALL).save(path, {}).removeprefix("sha256:")
    for text in (None, "", f"{digest}  other.safetensors\n", f"{digest}  x/default.safetensors\n"):
        if text is not None:
            list_.write_text(text)
        with pytest.raises(ModelError, match="not in the list SHA256SUMS"):
            load_model(path)
    for text in (f"{digest}  {path.name}\n", f"{digest.upper()} *{path.name}\r\n"):
        list_.write_text(text)
        assert load_model(path)[1] == f"sha256:{digest}"


def test_weights_of_another_kind_or_shape_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    write_checkpoint(path, {"weight": torch.zeros(2)}, {"model": "encoder"})
    write_checksums(tmp_path)
    with pytest.raises(ModelError, match="encoder"):
        read_checkpoint(path, "default")
    module = torch.nn.Linear(3, 1)
    write_checkpoint(path, {"weight": torch.zeros(1, 2), "bias": torch.zeros(1)}, {"model": "x"})
    write_checksums(tmp_path)
    with pytest.raises(ModelError, match=r"weight as \(1, 2\)"):
        read_checkpoint(path, "x").load_into(module, "")
