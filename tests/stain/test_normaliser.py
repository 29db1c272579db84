"""A slide's colours go to the reference, or stay and are flagged."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stain_slides import AZURE, EOSIN, draw

from smearscan.stain import fit_normaliser, sample_stain
from smearscan.stain.density import colour_of_density, optical_density
from smearscan.stain.normaliser import Method
from smearscan.stain.reference import REFERENCE, StainReference, stain_distance
from smearscan.stain.strata import describe_stain

METHODS: tuple[Method, ...] = ("reinhard", "macenko")
WHITE = np.array([250.0, 240.0, 220.0])
#: Strength, white and content of a slide within what laboratories show.
SLIDES = st.fixed_dictionaries(
    {
        "strength": st.floats(0.5, 1.6),
        "white": st.tuples(*[st.floats(200, 255)] * 3),
        "nuclear_share": st.floats(0.05, 0.7),
        "seed": st.integers(0, 5),
    }
)


def _fit(method: Method, slide: np.ndarray):
    sample = sample_stain([slide[None]])
    return fit_normaliser(method, sample.foreground, sample.background)


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b.astype(int))


NORMALISERS = {method: _fit(method, draw()) for method in (*METHODS, "none")}


@pytest.mark.parametrize("method", list(NORMALISERS))
@settings(max_examples=30, deadline=None)
@given(image=arrays(np.uint8, st.sampled_from([(3,), (4, 3), (5, 6, 3), (2, 3, 4, 3), (0, 3)])))
def test_every_shape_comes_back_as_it_went_in_and_as_bytes(method: Method, image: np.ndarray) -> None:
    mapped = NORMALISERS[method].apply(image)
    assert mapped.shape == image.shape
    assert mapped.dtype == np.uint8


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)])
def test_what_is_not_rgb_bytes_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        _fit("reinhard", draw()).apply(image)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12, deadline=None)
@given(slide=SLIDES)
def test_a_normalised_slide_needs_no_further_normalisation(method: Method, slide: dict) -> None:
    pixels = draw(**slide)
    once = _fit(method, pixels).apply(pixels)
    again = _fit(method, once)
    assert not again.is_identity
    assert _difference(again.apply(once), once).mean() < 2.5


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12, deadline=None)
@given(first=SLIDES, second=SLIDES)
def test_two_slides_of_the_same_cells_look_alike_afterwards(method: Method, first: dict, second: dict) -> None:
    cells = {"nuclear_share": 0.2, "seed": 1}
    slides = [draw(**{**slide, **cells}) for slide in (first, second)]
    mapped = [_fit(method, slide).apply(slide) for slide in slides]
    assert _difference(*mapped).mean() <= max(6.0, _difference(*slides).mean())
    assert _difference(*mapped).mean() < 8


@pytest.mark.parametrize("method", METHODS)
def test_how_many_nuclei_a_slide_shows_does_not_change_its_map(method: Method) -> None:
    crop = draw(nuclear_share=0.3, seed=9)
    few, many = (_fit(method, draw(nuclear_share=share)).apply(crop) for share in (0.05, 0.6))
    assert _difference(few, many).mean() < 3


def test_a_slide_that_is_the_reference_is_not_changed_by_reinhard() -> None:
    slide = draw(white=(255, 255, 255))
    sample = sample_stain([slide[None]])
    found = describe_stain(optical_density(sample.foreground, sample.background))
    assert found is not None
    own = StainReference(found.mean, found.sd, REFERENCE.azure, REFERENCE.eosin, REFERENCE.strength)
    normaliser = fit_normaliser("reinhard", sample.foreground, sample.background, own)
    dense = slide[optical_density(slide, sample.background).mean(axis=1) > 0.06]
    assert _difference(normaliser.apply(dense), dense).max() <= 2


@settings(max_examples=12, deadline=None)
@given(slide=SLIDES)
def test_reinhard_never_makes_more_stain_brighter(slide: dict) -> None:
    normaliser = _fit("reinhard", draw(**slide))
    assert normaliser.table is not None
    assert (np.diff(normaliser.table.astype(int), axis=0) >= 0).all()


@settings(max_examples=12, deadline=None)
@given(slide=SLIDES, amounts=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_macenko_never_makes_more_of_the_same_stain_brighter(slide: dict, amounts: tuple[float, float]) -> None:
    normaliser = _fit("macenko", draw(**slide))
    density = np.outer(np.linspace(0, 1.2, 25), np.array(amounts) @ np.stack([AZURE, EOSIN]))
    series = normaliser.apply(colour_of_density(density, normaliser.white)).astype(int)
    assert np.diff(series.sum(axis=1)).max() <= 3


@pytest.mark.parametrize("method", METHODS)
def test_glass_becomes_white_and_a_mask_stays_black(method: Method) -> None:
    normaliser = _fit(method, draw())
    mapped = normaliser.apply(np.array([[250, 240, 220], [0, 0, 0]], np.uint8))
    assert mapped.tolist() == [[255, 255, 255], [0, 0, 0]]


DEGENERATE = {
    "no pixels": np.empty((0, 3), np.uint8),
    "too few": draw()[:20],
    "one colour": np.full((5000, 3), (150, 90, 170), np.uint8),
    "glass": np.full((5000, 3), (250, 240, 220), np.uint8),
    "black": np.zeros((5000, 3), np.uint8),
    "nothing but red cells": draw(nuclear_share=0.0)[:0],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", list(DEGENERATE))
def test_a_slide_without_footing_is_left_as_it_is_and_flagged(method: Method, name: str) -> None:
    normaliser = fit_normaliser(method, DEGENERATE[name], WHITE)
    assert normaliser.is_identity
    assert any("left as it is" in flag for flag in normaliser.flags)
    crop = draw(seed=3)
    assert np.array_equal(normaliser.apply(crop), crop)


def test_one_stain_alone_cannot_be_separated_and_is_flagged() -> None:
    same = np.array([0.45, 0.85, 0.2])
    normaliser = fit_normaliser("macenko", draw(same, same), WHITE)
    assert normaliser.is_identity
    assert "one stain" in normaliser.flags[0]


def test_a_stretch_that_leaves_nothing_but_noise_is_refused_and_flagged() -> None:
    far = StainReference((2.0, 2.0, 2.0), (3.0, 3.0, 3.0), REFERENCE.azure, REFERENCE.eosin, (40.0, 20.0))
    for method in METHODS:
        normaliser = fit_normaliser(method, draw(), WHITE, far)
        assert normaliser.is_identity
        assert "stretched" in normaliser.flags[0]


def test_a_white_that_was_not_measured_is_flagged() -> None:
    normaliser = fit_normaliser("reinhard", draw(white=(255, 255, 255)))
    assert any("255 is assumed" in flag for flag in normaliser.flags)
    assert not normaliser.is_identity


def test_none_changes_nothing_and_flags_nothing() -> None:
    normaliser = fit_normaliser("none", draw(), WHITE)
    assert normaliser.is_identity
    assert normaliser.flags == ()
    assert normaliser.distance is not None and normaliser.distance > 0


def test_a_stain_that_cannot_be_described_is_at_no_distance_not_at_the_references() -> None:
    assert fit_normaliser("reinhard", np.full((5000, 3), 180, np.uint8), WHITE).distance is None


@pytest.mark.parametrize("method", METHODS)
def test_a_pickled_normaliser_does_the_same(method: Method) -> None:
    normaliser, crop = _fit(method, draw()), draw(seed=4)
    assert np.array_equal(pickle.loads(pickle.dumps(normaliser)).apply(crop), normaliser.apply(crop))


@pytest.mark.parametrize("method", METHODS)
def test_a_pixel_is_mapped_the_same_wherever_it_stands(method: Method) -> None:
    normaliser, crop = _fit(method, draw()), draw(seed=4, n=70_000)
    parts = [normaliser.apply(part) for part in np.array_split(crop, 7)]
    assert np.array_equal(np.concatenate(parts), normaliser.apply(crop))


def test_the_reference_is_at_no_distance_and_an_odd_stain_far_away() -> None:
    from smearscan.stain.strata import StainStatistics

    at = StainStatistics(REFERENCE.mean, REFERENCE.sd, REFERENCE.mean, REFERENCE.mean, 0.2)
    assert stain_distance(at) == pytest.approx(0)
    faint = StainStatistics((0.02, 0.02, 0.02), (0.01, 0.01, 0.01), REFERENCE.mean, REFERENCE.mean, 0.2)
    assert stain_distance(faint) > 6


SOURCES = {"pbc": "pbc/*/*.jpg", "taleqani": "taleqani/*/*.jpg", "txl": "txl_pbc/images/val/*.jpg"}


@pytest.mark.shared
@pytest.mark.parametrize("method", METHODS)
def test_sources_lie_closer_together_after_than_before(method: Method, shared_data: Path) -> None:
    """Nuclei of three public sources, sixteen fields spread over each: medians of their colours."""
    import cv2

    before, after = [], []
    for pattern in SOURCES.values():
        paths = sorted(shared_data.glob(pattern))
        images = [cv2.imread(str(p))[:, :, ::-1] for p in paths[:: len(paths) // 16][:16]]
        colours = []
        for image in images:
            sample = sample_stain([image])
            normaliser = fit_normaliser(method, sample.foreground, sample.background)
            found = describe_stain(optical_density(sample.foreground, sample.background))
            if found is not None and not normaliser.is_identity:
                nuclear = colour_of_density(np.array(found.nuclear), sample.background)
                colours.append((nuclear, normaliser.apply(nuclear)))
        assert len(colours) >= 12
        raw, mapped = (np.median(np.array(side), axis=0) for side in zip(*colours, strict=True))
        before.append(raw)
        after.append(mapped)
    spread_before, spread_after = (np.ptp(np.array(side), axis=0).mean() for side in (before, after))
    assert spread_after < 0.7 * spread_before
