"""Make a crop what a model's card asks for: window, background, resolution, size. Or refuse.

A network trained on pictures of 0.45 µm/px must not be shown sharper ones, and one that needs chromatin cannot judge
coarse ones: sharp crops are low-pass filtered, slides coarser than the card's limit are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Literal

import cv2
import numpy as np

from smearscan.errors import UnsupportedImageError, WeightsError
from smearscan.records import CellMask, Crop

Background = Literal["black", "kept"]
#: The nucleus' edge is softened by this, px of the network's input: how hard it is depends on the way it was made, and
#: networks would look at that.
NUCLEUS_BLUR_PX = 1.0
_BLUR_SIDE = (7, 7)
#: Pictures that shrink to less than this are area-averaged, whatever is done with them then.
_LEAST_INTERPOLATED = 2 / 3


@dataclass(frozen=True, slots=True)
class CardInput:
    """What a network was trained on, from the `[input]` table of its card.

    Attributes
    ----------
    window_um
        Side of the window, µm.
    um_per_px
        Resolution of the training pictures; sharper crops are filtered to it.
    side_px
        Side of the network's input, px.
    background
        `black`: all but the cell is black; `kept`: as it is.
    coarsest_um_per_px
        A slide of coarser pixels is refused.
    softened_um
        Standard deviation of the blur that every cell on black is given, µm.
    """

    window_um: float
    um_per_px: float
    side_px: int
    background: Background
    coarsest_um_per_px: float
    softened_um: float = 0.0

    def __post_init__(self) -> None:
        if self.background not in ("black", "kept"):
            raise WeightsError(f"a card's background is 'black' or 'kept', not {self.background!r}", "mend the card")
        if self.softened_um < 0 or (self.softened_um and self.background != "black"):
            raise WeightsError("a card softens cells on black, by no less than nothing", "mend the card")
        numbers = (self.window_um, self.um_per_px, self.side_px, self.coarsest_um_per_px)
        if not all(number > 0 for number in numbers):
            raise WeightsError(f"a card's window, resolution and side are positive, not {numbers}", "mend the card")

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> CardInput:
        """Read a card's `[input]` table; keys for other readers are left alone.

        Raises
        ------
        WeightsError
            If a key is absent or a value cannot be.
        """
        names = [field.name for field in fields(cls) if field.name in table or field.default is MISSING]
        absent = [name for name in names if name not in table]
        if absent:
            raise WeightsError(f"the card's input lacks {', '.join(absent)}", "mend the card")
        return cls(**{name: table[name] for name in names})  # type: ignore[arg-type]


def native_um_per_px(crop: Crop) -> float:
    """µm per level-0 pixel of the slide that a crop was cut from: what its sharpness is limited by."""
    return crop.um_per_px * crop.pixels.shape[1] / max(crop.window.width, crop.window.height)


def apply_mask(pixels: np.ndarray, mask: np.ndarray, background: Background = "black") -> np.ndarray:
    """All but the cell black, or the picture as it is.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    mask
        (H, W) bool.
    """
    if background == "kept":
        return pixels
    return cv2.bitwise_and(pixels, pixels, mask=mask.view(np.uint8))


def low_pass(pixels: np.ndarray, um_per_px: float, target_um_per_px: float, is_softened: bool = False) -> np.ndarray:
    """The small picture of `target_um_per_px`, area-averaged; as it is where it is no sharper.

    What is softened afterwards loses what interpolation would alias, and is interpolated, five times as fast, where
    it shrinks to no less than two thirds.
    """
    height, width = pixels.shape[:2]
    factor = um_per_px / target_um_per_px
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    way = cv2.INTER_LINEAR if is_softened and factor >= _LEAST_INTERPOLATED else cv2.INTER_AREA
    return cv2.resize(pixels, size, interpolation=way)


def prepare_input(crop: Crop, mask: CellMask, card: CardInput, name: str = "the slide") -> np.ndarray:
    """The picture a network is given.

    The mask is laid on at full resolution and filtered with the cell, as when a ready-made black crop is shrunk.

    Parameters
    ----------
    name
        The slide or file, for the error.

    Returns
    -------
    (side_px, side_px, 3) uint8 RGB.

    Raises
    ------
    UnsupportedImageError
        If the slide's pixels are coarser than the card's limit.
    ValueError
        If the card's window is larger than the crop.
    """
    native = native_um_per_px(crop)
    if native > card.coarsest_um_per_px * 1.001:
        raise UnsupportedImageError(
            f"{name} has {native:.3g} µm/px, coarser than the {card.coarsest_um_per_px:.3g} µm/px the model can judge",
            "scan it at a higher magnification, or correct its scale with --mpp",
        )
    side = card.window_um / crop.um_per_px
    cell = _middle(mask.cell, side)
    picture = _shrunk(apply_mask(_middle(crop.pixels, side), cell, card.background), card)
    if not card.softened_um:
        return picture
    return softened(picture, _shrunk(_share(cell), card), card.softened_um * card.side_px / card.window_um)


def softened(picture: np.ndarray, share: np.ndarray, sd_px: float) -> np.ndarray:
    """A cell on black under a Gaussian that stays inside it: the black does not bleed in, its edge stays hard.

    A network that is shown cells of a soft camera as one class, and of a sharp one as the other alone, learns to tell
    the cameras. When all are as soft as the softest it cannot.

    Parameters
    ----------
    picture
        (S, S, 3) uint8 RGB, black around the cell; a pixel on its rim is darker by as much of it as is black.
    share
        (S, S) uint8, 0 to 255: how much of each pixel belongs to the cell.
    sd_px
        Standard deviation of the Gaussian, px.

    Returns
    -------
    (S, S, 3) uint8 RGB: black where less than half of a pixel belongs to the cell.

    References
    ----------
    Knutsson & Westin 1993, normalized convolution, https://doi.org/10.1109/CVPR.1993.341081.
    """
    # Of a constant 255 the sum of the cell's own share is left: so every channel is divided by it.
    # Share and colours at one go: OpenCV blurs four channels in two thirds of the time that it takes for three.
    blurred = cv2.GaussianBlur(cv2.merge([picture, share]), (0, 0), sd_px, borderType=cv2.BORDER_CONSTANT)
    lit_share = cv2.extractChannel(blurred, 3)
    lit = cv2.cvtColor(cv2.divide(blurred, cv2.merge([lit_share] * 4), scale=255.0), cv2.COLOR_RGBA2RGB)
    return cv2.bitwise_and(lit, lit, mask=cv2.compare(share, 127, cv2.CMP_GT))


def _share(mask: np.ndarray) -> np.ndarray:
    return mask.view(np.uint8) * np.uint8(255)


def nucleus_picture(crop: Crop, mask: CellMask, card: CardInput) -> np.ndarray:
    """Share of each pixel that is nucleus, 0 to 255, softened: (side_px, side_px) uint8, laid as by `prepare_input`.

    Where the nucleus lies and what shape it has is outlined alike in every laboratory, however it is stained.
    """
    share = _shrunk(_middle(_share(mask.nucleus), card.window_um / crop.um_per_px), card)
    return cv2.GaussianBlur(share, _BLUR_SIDE, NUCLEUS_BLUR_PX, borderType=cv2.BORDER_CONSTANT)


def _shrunk(pixels: np.ndarray, card: CardInput) -> np.ndarray:
    small = low_pass(pixels, card.window_um / len(pixels), card.um_per_px, card.softened_um > 0)
    side = (card.side_px, card.side_px)
    if small.shape[:2] == side:
        return small
    return cv2.resize(small, side, interpolation=cv2.INTER_AREA if len(small) > card.side_px else cv2.INTER_LINEAR)


def _middle(pixels: np.ndarray, side: float) -> np.ndarray:
    """The central square of `side` px; a crop that is smaller by rounding alone is taken whole."""
    whole = pixels.shape[0]
    if side > whole * 1.03:
        raise ValueError(f"the card's window is {side / whole:.2f} times the crop's")
    cut = round((whole - side) / 2)
    return pixels if cut <= 0 else pixels[cut : whole - cut, cut : whole - cut]
