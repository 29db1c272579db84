"""Any rectangle of a smear as pixels: the same pixels whatever else is painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from smearscan.classes import CellClass
from smearscan.geometry import Box, Size
from smearscan.synth.chance import uniform
from smearscan.synth.film import Zone, zone_of
from smearscan.synth.placement import REACH_UM, Placed, Placement
from smearscan.synth.sprites import Sprite, SpriteBank

_NOISE_PX = 512


@dataclass(frozen=True, slots=True)
class TrueCell:
    """One cell as it was drawn: its box in level-0 pixels, cut at the image's border."""

    box: Box
    cell_class: CellClass
    zone: Zone


class Painter:
    """Paints rectangles of one smear.

    Parameters
    ----------
    size
        Of the whole image, pixels.
    field_of_view
        Size over which the light falls off, pixels: the image itself for a camera's field, the
        stitched fields of a scan otherwise.
    """

    def __init__(self, size: Size, placement: Placement, bank: SpriteBank, field_of_view: Size) -> None:
        self.size = size
        self.placement = placement
        self.bank = bank
        self._classes = placement.recipe.shares()[0]
        self._light = _falling_light(field_of_view, bank)
        self._brighter, self._darker = _noise(bank)

    def paint(self, box: Box) -> np.ndarray:
        """Pixels of this rectangle, (H, W, 3) uint8 RGB."""
        image = np.full((box.height, box.width, 3), self.bank.laboratory.background, np.uint8)
        left, top, right, bottom = self._around(box)
        reds = self.placement.red_cells(left, top, right, bottom)
        self._stamp(image, box, reds, [self.bank.red_cell(v, t) for v, t in zip(reds.variant, reds.turn, strict=True)])
        platelets = self.placement.platelets(left, top, right, bottom)
        self._stamp(image, box, platelets, list(self._platelet_sprites(platelets)))
        cells = self.placement.leukocytes(left, top, right, bottom)
        self._stamp(image, box, cells, list(self._cell_sprites(cells)))
        return self._seen_by_camera(image, box)

    def true_cells(self, box: Box) -> list[TrueCell]:
        """Cells whose centre lies in this rectangle, leukocytes first; those all but off the image are left out.

        A centre off the image belongs to the nearest rectangle at its border.
        """
        mpp = self.bank.mpp
        left = box.x * mpp if box.x > 0 else -REACH_UM
        top = box.y * mpp if box.y > 0 else -REACH_UM
        right = box.right * mpp if box.right < self.size.width else self.size.width * mpp + REACH_UM
        bottom = box.bottom * mpp if box.bottom < self.size.height else self.size.height * mpp + REACH_UM
        cells = self.placement.leukocytes(left, top, right, bottom)
        found = self._truths(cells, list(self._cell_sprites(cells)), [self._classes[i] for i in cells.class_index])
        platelets = self.placement.platelets(left, top, right, bottom)
        classes = [CellClass.PLATELET] * len(platelets.x_um)
        return found + self._truths(platelets, list(self._platelet_sprites(platelets)), classes)

    def _around(self, box: Box) -> tuple[float, float, float, float]:
        mpp = self.bank.mpp
        return (
            box.x * mpp - REACH_UM, box.y * mpp - REACH_UM, box.right * mpp + REACH_UM, box.bottom * mpp + REACH_UM
        )  # fmt: skip

    def _cell_sprites(self, cells: Placed) -> Iterator[Sprite]:
        for index, variant, turn in zip(cells.class_index, cells.variant, cells.turn, strict=True):
            yield self.bank.cell(self._classes[index], int(variant), int(turn))

    def _platelet_sprites(self, platelets: Placed) -> Iterator[Sprite]:
        for variant, turn in zip(platelets.variant, platelets.turn, strict=True):
            yield self.bank.cell(CellClass.PLATELET, int(variant), int(turn))

    def _corners(self, cells: Placed, sprites: list[Sprite]) -> Iterator[tuple[int, int]]:
        """Top left of each sprite, level-0 pixels."""
        xs, ys = cells.x_um / self.bank.mpp, cells.y_um / self.bank.mpp
        for x, y, sprite in zip(xs.tolist(), ys.tolist(), sprites, strict=True):
            side = sprite.light.shape[0]
            yield round(x - side / 2), round(y - side / 2)

    def _stamp(self, image: np.ndarray, box: Box, cells: Placed, sprites: list[Sprite]) -> None:
        """Let the light through each sprite; overlaps darken as on glass."""
        height, width = image.shape[:2]
        for sprite, (x, y) in zip(sprites, self._corners(cells, sprites), strict=True):
            x0, y0 = x - box.x, y - box.y
            side = sprite.light.shape[0]
            x1, y1, x2, y2 = max(0, x0), max(0, y0), min(width, x0 + side), min(height, y0 + side)
            if x1 < x2 and y1 < y2:
                part = image[y1:y2, x1:x2]
                # Products of two bytes over 255 are never halfway between bytes: rounding is the same everywhere.
                cv2.multiply(part, sprite.light[y1 - y0 : y2 - y0, x1 - x0 : x2 - x0], dst=part, scale=1 / 255)

    def _truths(self, cells: Placed, sprites: list[Sprite], classes: list[CellClass]) -> list[TrueCell]:
        whole = Box(0, 0, self.size.width, self.size.height)
        zones = [zone_of(t) for t in self.placement.film.at(cells.x_um, cells.y_um).tolist()]
        found = []
        for sprite, (x, y), cell_class, zone in zip(
            sprites, self._corners(cells, sprites), classes, zones, strict=True
        ):
            drawn = Box(x + sprite.box.x, y + sprite.box.y, sprite.box.width, sprite.box.height)
            seen = drawn.intersection(whole)
            if seen is not None and seen.area * 3 >= drawn.area:
                found.append(TrueCell(seen, cell_class, zone))
        return found

    def _seen_by_camera(self, image: np.ndarray, box: Box) -> np.ndarray:
        if self._light is not None:
            for part, light in _under(image, box, self._light):
                cv2.multiply(part, light, dst=part, scale=1 / 255)
        for part, brighter in _under(image, box, self._brighter):
            cv2.add(part, brighter, dst=part)
        for part, darker in _under(image, box, self._darker):
            cv2.subtract(part, darker, dst=part)
        return image


def _under(image: np.ndarray, box: Box, pattern: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of a rectangle's pixels, each with what lies on it of a pattern that covers the smear again and again."""
    height, width = pattern.shape[:2]
    for top in range(box.y - box.y % height, box.bottom, height):
        for left in range(box.x - box.x % width, box.right, width):
            seen = box.intersection(Box(left, top, width, height))
            if seen is not None:
                yield (
                    image[seen.y - box.y : seen.bottom - box.y, seen.x - box.x : seen.right - box.x],
                    pattern[seen.y - top : seen.bottom - top, seen.x - left : seen.right - left],
                )


def _falling_light(field_of_view: Size, bank: SpriteBank) -> np.ndarray | None:
    """Share of light × 255 over one field of view, (H, W, 3) uint8."""
    laboratory = bank.laboratory
    if not laboratory.vignette and not laboratory.tilt:
        return None
    x = (np.arange(field_of_view.width) + 0.5) / field_of_view.width - 0.5
    y = (np.arange(field_of_view.height) + 0.5) / field_of_view.height - 0.5
    fall = laboratory.vignette * 2 * (x[None, :] ** 2 + y[:, None] ** 2) + laboratory.tilt * (x[None, :] + 0.5)
    light = np.rint(255 * (1 - np.clip(fall, 0, 0.9))).astype(np.uint8)
    return np.repeat(light[..., None], 3, axis=2)


def _noise(bank: SpriteBank) -> tuple[np.ndarray, np.ndarray]:
    """What the camera adds and takes away, each (512, 512, 3) uint8; mostly the same in all channels."""
    shape = (_NOISE_PX, _NOISE_PX, 3)
    draws = _bell(bank.seed, 91, _NOISE_PX**2 * 3).reshape(shape)
    grey = _bell(bank.seed, 92, _NOISE_PX**2).reshape(*shape[:2], 1)
    noise = bank.laboratory.noise * (0.5 * draws + 0.85 * grey)
    return np.rint(np.maximum(noise, 0)).astype(np.uint8), np.rint(np.maximum(-noise, 0)).astype(np.uint8)


def _bell(seed: int, use: int, n: int) -> np.ndarray:
    """Nearly normal numbers of mean 0 and standard deviation 1: sums of four even ones."""
    return (np.sum([uniform(seed, use, part, np.arange(n)) for part in range(4)], axis=0) - 2) * np.sqrt(3)
