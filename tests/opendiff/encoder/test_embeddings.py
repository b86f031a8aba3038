"""Kept embeddings: the same numbers, found again by image and weights, and never in the way."""

import numpy as np
import pytest

from opendiff.encoder.embeddings import EmbeddingCache, image_key
from opendiff.encoder.weights import load_encoder


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 256, 256, 3), np.uint8)


def test_known_images_are_not_embedded_again(encoder, images, tmp_path, monkeypatch):
    cache = EmbeddingCache(tmp_path / "e.sqlite", 16)
    plain = encoder.image_tokens(images)
    np.testing.assert_array_equal(encoder.image_tokens(images[:3], cache), plain[:3])
    seen = []
    features = encoder.image_features
    monkeypatch.setattr(encoder, "image_features", lambda new: seen.append(len(new)) or features(new))
    np.testing.assert_array_equal(encoder.image_tokens(images, cache), plain)
    np.testing.assert_array_equal(encoder.image_tokens(images[::-1], cache), plain[::-1])
    assert seen == [2]


def test_each_version_of_the_weights_has_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path))
    one, other = (EmbeddingCache.of_weights(f"sha256:{letter * 64}", 16) for letter in "ab")
    one.write({b"image": np.ones(16, np.float32)})
    assert one.read([b"image"])[b"image"].tolist() == [1] * 16 and not other.read([b"image"])


def test_a_changed_pixel_is_another_image(images):
    changed = images[0].copy()
    changed[0, 0, 0] ^= 1
    assert image_key(changed) != image_key(images[0]) == image_key(images[0].copy())


@pytest.mark.parametrize("damage", ["no database", "a folder", "missing folder", "other width"])
def test_a_cache_that_cannot_be_used_is_empty(damage, encoder, images, tmp_path):
    path = tmp_path / "e.sqlite"
    if damage == "no database":
        path.write_bytes(b"nonsense" * 1000)
    elif damage == "a folder":
        path.mkdir()
    elif damage == "missing folder":
        path = tmp_path / "none" / "e.sqlite"
    else:
        EmbeddingCache(path, 8).write({image_key(image): np.ones(8, np.float32) for image in images})
    cache = EmbeddingCache(path, 16)
    np.testing.assert_array_equal(encoder.image_tokens(images[:2], cache), encoder.image_tokens(images[:2]))


def test_old_rows_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr("opendiff.encoder.embeddings.MAX_ROWS", 10)
    cache = EmbeddingCache(tmp_path / "e.sqlite", 1)
    keys = [bytes([number]) for number in range(30)]
    for key in keys:
        cache.write({key: np.zeros(1, np.float32)})
    assert set(cache.read(keys)) == set(keys[-10:])
