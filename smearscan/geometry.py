"""Points, sizes, boxes and scale. Pixels are those of level 0 unless a name says otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

#: µm per pixel of light microscopy: below lies no camera, above no cell can be told. 72, 96 and 300 dpi are 353, 265
#: and 85 µm/px: sizes on paper, not scales.
PLAUSIBLE_UM_PER_PX = (0.02, 5.0)


class Point(NamedTuple):
    """A place on a slide, in level-0 pixels."""

    x: float
    y: float


class Size(NamedTuple):
    """Width and height in pixels, both at least 1."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Mpp:
    """Scale of a slide: µm per pixel at level 0, along x and y.

    Raises
    ------
    ValueError
        If either value is not a positive finite number.
    """

    x: float
    y: float

    def __post_init__(self) -> None:
        for value in (self.x, self.y):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"µm per pixel must be a positive number, not {value!r}")

    @property
    def mean(self) -> float:
        """Mean of x and y, µm per pixel."""
        return (self.x + self.y) / 2


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open rectangle: columns x to x + width, rows y to y + height.

    Raises
    ------
    ValueError
        If width or height is not positive.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a box needs a positive width and height, not {self.width}×{self.height}")

    @classmethod
    def around(cls, centre: Point, size: Size) -> Box:
        """The box of this size whose centre is nearest to `centre`."""
        return cls(round(centre.x - size.width / 2), round(centre.y - size.height / 2), size.width, size.height)

    @property
    def right(self) -> int:
        """First column behind the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.y + self.height

    @property
    def centre(self) -> Point:
        """Middle of the box."""
        return Point(self.x + self.width / 2, self.y + self.height / 2)

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height

    def intersection(self, other: Box) -> Box | None:
        """What both boxes cover, or None."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(x, y, right - x, bottom - y) if right > x and bottom > y else None

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        common = self.intersection(other)
        if common is None:
            return 0.0
        return common.area / (self.area + other.area - common.area)

    def contains(self, point: Point) -> bool:
        """Whether a point lies in the half-open box: a partition's boxes claim each point once."""
        return self.x <= point.x < self.right and self.y <= point.y < self.bottom

    def grown(self, margin: int) -> Box:
        """The box with `margin` pixels more on each side."""
        return Box(self.x - margin, self.y - margin, self.width + 2 * margin, self.height + 2 * margin)
