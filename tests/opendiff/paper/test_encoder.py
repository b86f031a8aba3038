"""ResNet-50 by its published size and layout; contrastive training on made images."""

import numpy as np
import pytest
import torch

from opendiff.area import tile_frame
from opendiff.errors import ModelError
from opendiff.open_data.features import TileFeatures
from opendiff.paper.encoder import (
    EncoderConfig,
    EncoderTraining,
    ImageEncoder,
    load_image_encoder,
    shrink,
    train_image_encoder,
    turned,
)
from opendiff.paper.resnet import ResNet50
from opendiff.storage.checksums import write_checksums
from opendiff.storage.resume import TrainingState

CONFIG = EncoderConfig(pixels=32, hidden=16, width=8)


def made_tiles(count: int = 24) -> tuple[torch.Tensor, TileFeatures]:
    """Images whose colour follows the place, which is what the nearest tile shares."""
    rng = np.random.default_rng(0)
    x, y = np.arange(count) % 4, np.arange(count) // 4
    images = torch.from_numpy(rng.integers(0, 60, (count, 3, 32, 32))).float()
    images[:, 0] += torch.from_numpy(x * 60.0)[:, None, None]
    images[:, 1] += torch.from_numpy(y * 35.0)[:, None, None]
    unknown, nothing = np.zeros(count, bool), np.zeros((count, 15))
    features = TileFeatures(
        tile_frame(x, y), nothing, np.zeros((count, 30)), unknown, nothing, np.zeros((count, 30)), unknown,
        np.ones((count, 14)), np.zeros((count, 2)), unknown, np.zeros((count, 2)), np.zeros(count),
    )  # fmt: skip
    return images, features


def test_resnet_has_the_published_number_of_parameters_and_names():
    with torch.device("meta"):
        plain, classifier = ResNet50(), ResNet50(classes=1000)
    count = lambda net: sum(parameter.numel() for parameter in net.parameters())  # noqa: E731
    assert count(plain) == 23_508_032 and count(classifier) == 25_557_032
    names = set(classifier.state_dict())
    assert len(names) == 320  # as in torchvision's state dict
    assert {
        "conv1.weight", "bn1.running_var", "layer1.0.downsample.1.num_batches_tracked", "layer2.3.conv3.weight",
        "layer3.0.conv2.weight", "layer4.2.bn3.bias", "fc.weight",
    } <= names  # fmt: skip
    stride = {name: m.stride for name, m in plain.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert stride["layer3.0.conv2"] == (2, 2) and stride["layer3.0.conv1"] == (1, 1)


def test_shrinking_averages_areas_and_turning_keeps_colours():
    image = np.zeros((1, 256, 256, 3), np.uint8)
    image[0, :128, :, 1] = 200
    small = shrink(image, 32)
    assert small.shape == (1, 3, 32, 32) and small[0, 1, 0, 0] == 200 and small[0, 1, 31, 0] == 0
    torch.manual_seed(0)
    views = turned(small.repeat(40, 1, 1, 1))
    assert len({view.numpy().tobytes() for view in views}) == 4  # a half plane has four different symmetries
    assert torch.allclose(views.mean((1, 2, 3)), small.mean())


@pytest.mark.slow
def test_training_learns_what_is_near(small_trunk):
    images, features = made_tiles()
    training = EncoderTraining(epochs=40, batch=24, learning_rate=0.05)
    encoder, history = train_image_encoder(images, features, 0, CONFIG, training)
    (first, chance), (last, _) = history[0], history[-1]
    assert chance == pytest.approx(np.log(23)) and last < chance - 0.15 and last < first
    embedding = encoder.embed(images)
    assert np.abs(embedding.mean(axis=0)).max() < 0.05 and embedding.std(axis=0) == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(encoder.embed(images[5:6])[0], embedding[5])


def test_interrupted_training_equals_training_that_ran_through(small_trunk, tmp_path):
    images, features = made_tiles()
    training = EncoderTraining(epochs=4, batch=12)
    whole, losses = train_image_encoder(images, features, 1, CONFIG, training)
    state = TrainingState(tmp_path / "encoder.state", "key", seconds=0)

    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_image_encoder(images, features, 1, CONFIG, training, state=state, progress=stop)
    resumed, again = train_image_encoder(images, features, 1, CONFIG, training, state=state)
    assert again == losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_saved_encoder_embeds_alike(small_trunk, tmp_path):
    images, _ = made_tiles(4)
    encoder = ImageEncoder(CONFIG).eval()
    encoder.save(tmp_path / "paper_encoder.safetensors", {})
    write_checksums(tmp_path)
    again = load_image_encoder(tmp_path / "paper_encoder.safetensors")
    np.testing.assert_allclose(again.embed(images), encoder.embed(images), atol=5e-3)
    with pytest.raises(ModelError, match="train encoder --model paper"):
        load_image_encoder(tmp_path / "absent.safetensors")


def test_impossible_resolutions_are_named():
    with pytest.raises(ModelError, match="16 pixels"):
        EncoderConfig(pixels=16)
