"""Inference: calibrated, standardised as the card says, and strict about what it is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_networks import noise, small_package

from smearscan.models import Package, infer
from smearscan.models.infer import logits, standardise


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A small network with random weights."""
    return small_package("cnn_cbam", tmp_path_factory.mktemp("package"))


def test_probabilities_are_the_softmax_of_logits_over_the_temperature(package: Package) -> None:
    images = noise(5, 32)
    warm = Package(package.model, package.card.model_copy(update={"temperature": 2.5}))
    z = np.exp(logits(package, images).astype(np.float64) / 2.5)
    assert np.allclose(infer(warm, images), z / z.sum(1, keepdims=True), atol=1e-6)


def test_a_class_that_is_met_a_third_as_often_needs_three_times_the_odds(package: Package) -> None:
    """Against every other class; among those the odds stay."""
    images = noise(5, 32)
    rare = package.card.classes[0]
    before = infer(package, images).astype(np.float64)
    seldom = Package(package.model, package.card.model_copy(update={"frequencies": {rare: 1 / 3}}))
    after = infer(seldom, images).astype(np.float64)
    assert np.allclose(after[:, 0] / after[:, 1], before[:, 0] / before[:, 1] / 3, rtol=1e-4)
    assert np.allclose(after.sum(1), 1, atol=1e-5)
    assert np.allclose(after[:, 1:] / after[:, 1:2], before[:, 1:] / before[:, 1:2], rtol=1e-4)


def test_float_images_in_0_to_1_are_what_uint8_ones_are(package: Package) -> None:
    images = noise(3, 32)
    assert np.allclose(infer(package, (images / 255).astype(np.float32)), infer(package, images), atol=1e-3)


def test_the_network_sees_what_the_card_says(package: Package) -> None:
    images = noise(2, 32)
    x = standardise(torch.from_numpy(images), package.card.input)
    expected = (images / 255 - np.array([0.5, 0.4, 0.6])) / np.array([0.2, 0.3, 0.25])
    assert np.allclose(x.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_many_images_are_answered_in_their_order(package: Package) -> None:
    images = noise(70, 32)
    together = infer(package, images)
    assert np.array_equal(np.concatenate([infer(package, images[i : i + 9]) for i in range(0, 70, 9)]), together)


def test_images_that_may_not_be_written_to_are_judged_too(package: Package) -> None:
    """A full batch is not copied; the images stay what they were."""
    images, locked = noise(32, 32), noise(32, 32)
    locked.flags.writeable = False
    assert np.array_equal(infer(package, locked), infer(package, images))
    assert np.array_equal(images, locked)


def test_smaller_batches_give_nearly_the_same(package: Package) -> None:
    images = noise(7, 32)
    fours = infer(package, images, batch_size=4)
    assert np.allclose(fours, infer(package, images), atol=0.02)
    assert np.array_equal(infer(package, images[4:], batch_size=4), fours[4:])


def test_the_number_of_threads_changes_no_byte(package: Package) -> None:
    images = noise(5, 32)
    one = infer(package, images)
    torch.set_num_threads(2)
    try:
        assert np.array_equal(infer(package, images), one)
    finally:
        torch.set_num_threads(1)


def test_bfloat16_stays_near_float32(package: Package) -> None:
    images = noise(5, 32)
    exact = infer(package, images, precision="float32")
    assert np.allclose(infer(package, images, precision="bfloat16"), exact, atol=0.02)


def test_no_images_give_no_rows(package: Package) -> None:
    assert infer(package, np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 33, 33, 3), (32, 32, 3), (2, 3, 32, 32), (2, 32, 32, 4)])
def test_images_of_another_shape_are_refused_with_the_right_one(package: Package, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 32, 32, 3\)"):
        infer(package, np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 32, 32, 3), np.int64),
        np.full((1, 32, 32, 3), 255.0),
        np.full((1, 32, 32, 3), -0.1),
        np.full((1, 32, 32, 3), np.nan),
    ],
)
def test_images_of_another_range_or_type_are_refused(package: Package, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        infer(package, images)
