"""Cores claim every pixel once; halos see a cell whole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.geometry import Box, Mpp, Size
from smearscan.regions.grid import make_grid


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    um_x=st.floats(0.05, 2),
    um_y=st.floats(0.05, 2),
    tile=st.floats(100, 800),
    halo=st.floats(0, 60),
)
def test_cores_partition_the_slide_and_halos_stay_inside(
    width: int, height: int, um_x: float, um_y: float, tile: float, halo: float
) -> None:
    rows = make_grid(Size(width, height), Mpp(um_x, um_y), tile, halo)
    whole = Box(0, 0, width, height)
    y = 0
    for row in rows:
        x = 0
        for cell in row:
            assert (cell.core.x, cell.core.y, cell.core.height) == (x, y, row[0].core.height)
            assert cell.halo.intersection(whole) == cell.halo
            assert cell.halo.intersection(cell.core) == cell.core
            for inner, outer, end in (
                (cell.core.x - cell.halo.x, cell.core.x, 0),
                (cell.halo.right - cell.core.right, cell.core.right, width),
            ):
                assert inner == round(halo / um_x) or outer - inner == end or outer + inner == end
            x = cell.core.right
        assert x == width
        y = row[0].core.bottom
    assert y == height


@settings(max_examples=20, deadline=None)
@given(side=st.integers(1, 479))
def test_what_is_hardly_larger_than_a_tile_is_one_tile(side: int) -> None:
    ((tile,),) = make_grid(Size(side, side), Mpp(1, 1), 320, 24)
    assert tile.core == tile.halo == Box(0, 0, side, side)
