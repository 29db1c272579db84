"""Azure and eosin are found again where they were put."""

from __future__ import annotations

import numpy as np
import pytest

from smearscan.stain.density import is_stained, optical_density
from smearscan.stain.macenko import macenko_matrix, stain_strength, stain_vectors
from smearscan.stain.reference import StainReference

WHITE = np.array([250.0, 240.0, 220.0])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _densities(pixels: np.ndarray) -> np.ndarray:
    return optical_density(pixels[is_stained(pixels, WHITE)], WHITE)


def _degrees(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(_unit(a) @ _unit(b), -1, 1))))


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_vectors_lie_near_the_colours_of_nuclei_and_red_cells(draw_slide, share: float) -> None:
    azure, eosin = np.array([0.55, 0.82, 0.10]), np.array([0.25, 0.70, 0.65])
    density = _densities(draw_slide(azure, eosin, nuclear_share=share))
    vectors = stain_vectors(density)
    assert vectors is not None
    assert _degrees(vectors[0], 0.85 * azure + 0.15 * eosin) < 5
    assert _degrees(vectors[1], 0.03 * azure + 0.25 * eosin) < 5


def test_azure_comes_first_whatever_there_is_more_of(draw_slide) -> None:
    for share in (0.03, 0.9):
        vectors = stain_vectors(_densities(draw_slide(nuclear_share=share)))
        assert vectors is not None
        assert vectors[0, 2] < vectors[1, 2]


def test_one_stain_in_many_amounts_is_not_two(draw_slide) -> None:
    same = np.array([0.45, 0.85, 0.2])
    assert stain_vectors(_densities(draw_slide(same, same))) is None
    assert stain_vectors(np.empty((0, 3), np.float32)) is None


def test_a_slide_that_is_the_reference_is_mapped_onto_itself(draw_slide) -> None:
    density = _densities(draw_slide())
    vectors = stain_vectors(density)
    assert vectors is not None
    strength = stain_strength(density, vectors)
    azure, eosin = (tuple(map(float, v)) for v in vectors)
    own = StainReference((1, 1, 1), (1, 1, 1), azure, eosin, (float(strength[0]), float(strength[1])))
    assert macenko_matrix(vectors, strength, own) == pytest.approx(np.eye(3), abs=1e-9)


def test_what_is_neither_stain_is_kept(draw_slide) -> None:
    density = _densities(draw_slide())
    vectors = stain_vectors(density)
    assert vectors is not None
    matrix = macenko_matrix(vectors, stain_strength(density, vectors))
    across = _unit(np.cross(*vectors))
    assert np.linalg.norm(across @ matrix) == pytest.approx(1)
