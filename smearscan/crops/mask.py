"""Masks of the central cell: the network's, or those of a picture that is already black around its cell.

Where no cell stands in the middle the mask is empty and its area 0: a caller sees it, nothing is made up.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from safetensors import SafetensorError

from smearscan.crops.central import central_cell, outline_of_centre
from smearscan.crops.plan import MaskNetPlan
from smearscan.errors import WeightsError
from smearscan.records import CellMask, Crop
from smearscan.resources import configs_folder, weights_folder

if TYPE_CHECKING:
    from torch import Tensor

    from smearscan.crops.network import CellMaskNet

#: Windows per forward pass; shorter batches are filled up, since results differ in the last bit between shapes. Larger
#: batches take hardly less per cell, and a lone picture waits for all of one.
BATCH_SIZE = 16
#: Channel value (0 to 255) up to which a pixel is black: JPEG leaves a little light around a cut-out cell.
_BLACK = 14


class CellSegmenter:
    """The mask network with its weights: windows in, chances out. Safe to share between threads.

    Parameters
    ----------
    network
        As trained; `RunningMaskNet` is what runs.
    is_bfloat16
        Whether to compute in bfloat16; the default is to do so where the processor multiplies in it.
    """

    def __init__(self, network: CellMaskNet, is_bfloat16: bool | None = None) -> None:
        import torch

        from smearscan.crops.running import RunningMaskNet

        self.is_bfloat16 = _multiplies_bfloat16() if is_bfloat16 is None else is_bfloat16
        self.network = RunningMaskNet(network, torch.bfloat16 if self.is_bfloat16 else torch.float32)

    @property
    def plan(self) -> MaskNetPlan:
        """Side and window of what the network sees."""
        return self.network.plan

    def chances(self, windows: np.ndarray) -> np.ndarray:
        """Chance of whole cell and of nucleus at every pixel.

        Parameters
        ----------
        windows
            (N, S, S, 3) uint8 RGB, each the plan's window with its cell in the middle.

        Returns
        -------
        (N, S, S, 2) float32, 0 to 1.
        """
        out = np.empty((*windows.shape[:3], 2), np.float32)
        return _in_batches(self.network, windows, out)

    def outlines(self, windows: np.ndarray) -> np.ndarray:
        """Where `chances` are above one half, (N, 2, S, S) bool, whole cell and nucleus; sooner made than they are.

        `windows` may be the plan's middle of them.
        """
        out = np.empty((len(windows), 2, *windows.shape[1:3]), np.bool_)
        return _in_batches(self.network.outlines, windows, out)


def _in_batches(network: Callable[[Tensor], Tensor], windows: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Fill `out` with what a network makes of (N, S, S, 3) windows, a full batch at a time."""
    import torch

    for first in range(0, len(windows), BATCH_SIZE):
        part = windows[first : first + BATCH_SIZE]
        batch = np.zeros((BATCH_SIZE, *windows.shape[1:]), np.uint8)
        batch[: len(part)] = part
        out[first : first + len(part)] = network(torch.from_numpy(batch)).numpy()[: len(part)]
    return out


def _multiplies_bfloat16() -> bool:
    import torch

    capable = torch.cpu.get_capabilities()
    return bool(capable.get("amx_bf16") or capable.get("avx512_bf16"))


def load_segmenter(weights: Path | None = None) -> CellSegmenter:
    """The shipped segmenter, or one from other weights (whose digest nobody checks).

    Raises
    ------
    WeightsError
        If the weights are absent, altered or of another network.
    """
    from safetensors.torch import load_file

    from smearscan.crops.network import CellMaskNet

    path = weights_folder() / "cellmask.safetensors" if weights is None else weights
    if weights is None:
        _check_digest(path)
    network = CellMaskNet()
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}", "install the package again") from error
    except RuntimeError as error:
        raise WeightsError(f"{path} holds the weights of another network", "install the package again") from error
    return CellSegmenter(network)


@lru_cache(maxsize=1)
def shipped_segmenter() -> CellSegmenter:
    """The shipped segmenter, loaded once a process."""
    return load_segmenter()


def _check_digest(path: Path) -> None:
    card = tomllib.loads((configs_folder() / "cards" / "cellmask.toml").read_text("utf-8"))
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"the weights {path} are absent", "install the package again") from error
    if digest != card["weights"]["sha256"]:
        raise WeightsError(f"{path} is not the file that its card names", "install the package again")


def segment_cells(
    segmenter: CellSegmenter, crops: Sequence[Crop], sides_um: Sequence[float] | None = None
) -> list[CellMask]:
    """The central cell of every crop, on the crop's own pixel grid; an empty mask (area 0) where there is none.

    Parameters
    ----------
    crops
        Square crops of one or more scales. The network looks at the middle 29 µm of each; a crop that covers less
        is framed with its own edge colours.
    sides_um
        Longer side of each cell's box, µm, where it is known: of cells that lie well inside only the middle is looked
        at, which takes little more than half the time. Of crops that are not on the network's own pixels all is.
    """
    if not crops:
        return []
    plan = segmenter.plan
    windows = [network_window(crop.pixels, crop.um_per_px, plan) for crop in crops]
    is_on_grid = [_is_on_grid(crop, plan) for crop in crops]
    is_small = [side <= plan.middle_holds_um for side in sides_um or [math.inf] * len(crops)]
    masks: dict[int, CellMask] = {}
    for side in (plan.middle_px, plan.side_px):
        is_shown = (small == (side == plan.middle_px) for small in is_small)
        places = [place for place, both in enumerate(zip(is_on_grid, is_shown, strict=True)) if all(both)]
        shown = plan.middle(side)
        outlines = segmenter.outlines(np.stack([windows[place][shown, shown] for place in places])) if places else ()
        for place, (cell, nucleus) in zip(places, outlines, strict=True):
            masks[place] = _as_mask(cell, nucleus, crops[place], plan)
    if finer := [place for place in range(len(crops)) if place not in masks]:
        for place, chance in zip(finer, segmenter.chances(np.stack([windows[i] for i in finer])), strict=True):
            masks[place] = _on_crop(chance, crops[place], plan)
    return [masks[place] for place in range(len(crops))]


def _is_on_grid(crop: Crop, plan: MaskNetPlan) -> bool:
    """Whether a crop's pixels are the network's own."""
    own = (plan.side_px, plan.side_px)
    return crop.pixels.shape[:2] == own and abs(plan.window_um / crop.um_per_px - plan.side_px) < 1


def _as_mask(cell: np.ndarray, nucleus: np.ndarray, crop: Crop, plan: MaskNetPlan) -> CellMask:
    cell, nucleus = outline_of_centre(cell, nucleus, plan.window_um / plan.side_px)
    return make_mask(_framed(cell, plan.side_px), _framed(nucleus, plan.side_px), crop.um_per_px)


def _framed(mask: np.ndarray, side_px: int) -> np.ndarray:
    """A mask of the middle on the whole window."""
    n = (side_px - len(mask)) // 2
    # `np.pad` takes ten times as long.
    return cv2.copyMakeBorder(mask.view(np.uint8), n, n, n, n, cv2.BORDER_CONSTANT, value=0).view(bool)


def network_window(pixels: np.ndarray, um_per_px: float, plan: MaskNetPlan) -> np.ndarray:
    """The middle of a crop as the network wants it, (S, S, 3) uint8 RGB."""
    side = (plan.side_px, plan.side_px)
    zoom = plan.window_um / plan.side_px / um_per_px
    height, width = pixels.shape[:2]
    if abs(zoom * plan.side_px - width) < 1 and width == height:
        if width == plan.side_px:
            return pixels
        if zoom > 3 and width % 2 == 0:  # halved first: whole factors are averaged several times faster
            pixels = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return cv2.resize(pixels, side, interpolation=cv2.INTER_AREA if zoom > 1 else cv2.INTER_CUBIC)
    if zoom > 1:
        size = (max(1, round(width / zoom)), max(1, round(height / zoom)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        zoom, (height, width) = zoom * size[0] / width, pixels.shape[:2]
    matrix = np.array([[zoom, 0, (width - zoom * side[0]) / 2], [0, zoom, (height - zoom * side[1]) / 2]])
    matrix[:, 2] += (zoom - 1) / 2  # pixel centres, not corners
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, matrix, side, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _on_crop(chance: np.ndarray, crop: Crop, plan: MaskNetPlan) -> CellMask:
    fine = plan.window_um / plan.side_px
    height, width = crop.pixels.shape[:2]
    zoom = fine / crop.um_per_px
    is_same_window = abs(zoom * plan.side_px - width) < 1 and width == height
    if _is_on_grid(crop, plan):
        return _as_mask(chance[..., 0] > 0.5, chance[..., 1] > 0.5, crop, plan)
    chance = _as_bytes(central_cell(chance, fine))
    if is_same_window:
        large = cv2.resize(chance, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        shift = [(side - zoom * plan.side_px) / 2 + (zoom - 1) / 2 for side in (width, height)]
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        large = cv2.warpAffine(chance, matrix, (width, height), flags=cv2.INTER_LINEAR)
    cell, nucleus = (large[..., part] > 127 for part in (0, 1))
    return make_mask(cell, nucleus & cell, crop.um_per_px)


def _as_bytes(chance: np.ndarray) -> np.ndarray:
    """0..1 to uint8, which is enlarged several times faster; 0.5 lies between 127 and 128."""
    return np.rint(chance * 255).astype(np.uint8)


def make_mask(cell: np.ndarray, nucleus: np.ndarray, um_per_px: float) -> CellMask:
    """The record of two (H, W) bool masks."""
    area = um_per_px**2
    return CellMask(cell, nucleus, float(np.count_nonzero(cell) * area), float(np.count_nonzero(nucleus) * area))


def mask_from_black(rgb: np.ndarray) -> np.ndarray:
    """The cell of a picture that is black around it: the largest piece that is not black, closed; (H, W) bool."""
    lit = (~_is_black(rgb)).view(np.uint8)
    n_pieces, labels, stats, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    if n_pieces < 2:
        return np.zeros(rgb.shape[:2], bool)
    piece = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    outlines, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(piece), outlines, -1, 1, cv2.FILLED) > 0


def is_on_black(rgb: np.ndarray) -> bool:
    """Whether a picture is one cell cut out on black: a black frame, and at least a tenth of it black."""
    black = _is_black(rgb)
    frame = np.concatenate([black[0], black[-1], black[:, 0], black[:, -1]])
    return bool(frame.mean() > 0.8 and black.mean() > 0.1 and not black.all())


def _is_black(rgb: np.ndarray) -> np.ndarray:
    return cv2.inRange(rgb, (0, 0, 0), (_BLACK,) * 3) > 0
