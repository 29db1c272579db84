"""Nuclei and the rest are told apart, however few the nuclei are."""

from __future__ import annotations

import numpy as np
import pytest

from smearscan.stain.density import optical_density
from smearscan.stain.strata import describe_stain, find_nuclear


def _density(pixels: np.ndarray, white: tuple[float, float, float] = (250, 240, 220)) -> np.ndarray:
    density = optical_density(pixels, np.array(white))
    return density[density.mean(axis=1) > 0.04]


@pytest.mark.parametrize("share", [0.02, 0.15, 0.5, 0.8])
def test_the_share_of_nuclear_pixels_is_found(draw_slide, share: float) -> None:
    found = describe_stain(_density(draw_slide(nuclear_share=share)))
    assert found is not None
    assert found.nuclear_share == pytest.approx(share, abs=0.02)


def test_how_many_nuclei_there_are_does_not_change_the_description(draw_slide) -> None:
    few, many = (describe_stain(_density(draw_slide(nuclear_share=share, seed=1))) for share in (0.03, 0.6))
    assert few is not None
    assert many is not None
    assert few.mean == pytest.approx(many.mean, rel=0.03)
    assert few.sd == pytest.approx(many.sd, rel=0.03)


def test_red_cells_alone_are_not_described_as_a_stain_with_nuclei(draw_slide) -> None:
    density = np.full((5000, 3), (0.1, 0.2, 0.15), np.float32)
    assert describe_stain(density) is None
    assert describe_stain(density[:60]) is None


def test_blue_grey_red_cells_are_not_nuclei() -> None:
    """Some cameras show red cells blue: dense in red light, not in green against blue."""
    grey, violet = (0.16, 0.12, 0.10), (0.24, 0.34, 0.03)
    density = np.array([grey] * 900 + [violet] * 100, np.float32)
    assert find_nuclear(density).tolist() == [False] * 900 + [True] * 100
