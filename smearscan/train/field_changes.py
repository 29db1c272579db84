"""What training does to whole fields: turn, zoom, coarsen, re-encode, restain, so that a file's making is not learnt.

Fields of one laboratory differ in stain, blur and encoding along with their class; a network that reads these is a
coin elsewhere, and collapses when the same files are rescaled or saved again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smearscan.models.cards import InputCard
from smearscan.models.whole_image import whole_image

#: A scale bar lies bottom right in many fields of one class more than of another: height and width, shares.
_SCALE_BAR = (0.10, 0.22)
_SHRINKERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


@dataclass(frozen=True, slots=True)
class Changes:
    """How far training departs from the fields as they are.

    Attributes
    ----------
    zoom
        Standard deviation of the logarithm of size.
    mix, gain, offset
        Standard deviations of the off-diagonal of the 3×3 that mixes optical densities, of log gain a channel, of
        offset a channel.
    common
        Standard deviation of the log gain that all channels share: depth of stain, light.
    recoded
        Share of fields that are coarsened and saved as JPEG before the network sees them.
    """

    zoom: float = 0.10
    mix: float = 0.05
    gain: float = 0.10
    offset: float = 0.02
    common: float = 0.12
    recoded: float = 0.4


def change_fields(fields: np.ndarray, card: InputCard, changes: Changes, rng: np.random.Generator) -> Tensor:
    """Changed network pictures.

    Parameters
    ----------
    fields
        (N, H, W, 3) uint8 RGB, as they lie on disk.
    card
        The network's input.
    changes
        How far to go.
    rng
        Draws everything.

    Returns
    -------
    Tensor
        (N, 3, S, S) float32, 0 to 1.
    """
    pictures = np.stack([_recoded(_without_bar(f, rng), card, changes.recoded, rng) for f in fields])
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(255)
    return _restained(_moved(x, changes.zoom, rng), changes, rng)


def _without_bar(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In half of the fields the scale bar's corner is painted over with a neighbouring patch."""
    if rng.random() < 0.5:
        return field
    height, width = (round(share * side) for share, side in zip(_SCALE_BAR, field.shape, strict=False))
    out = field.copy()
    out[-height:, -width:] = field[-2 * height : -height, -width:][::-1]
    return out


def _recoded(field: np.ndarray, card: InputCard, share: float, rng: np.random.Generator) -> np.ndarray:
    """The field at the network's side; sometimes by way of another size and a JPEG file."""
    if rng.random() < share:
        factor = float(np.exp(rng.uniform(np.log(0.45), np.log(1.1))))
        size = (max(48, round(field.shape[1] * factor)), max(48, round(field.shape[0] * factor)))
        way = _SHRINKERS[rng.integers(3)]
        field = cv2.resize(field, size, interpolation=way)
        _, code = cv2.imencode(".jpg", field[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))])
        field = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1]
    if rng.random() < share / 2:
        field = cv2.GaussianBlur(field, (0, 0), float(rng.uniform(0.3, 1.0)) * field.shape[0] / card.side_px)
    return whole_image(field, card)


def _moved(x: Tensor, zoom: float, rng: np.random.Generator) -> Tensor:
    """Turn by any angle, flip, zoom; what comes from outside is the mirrored field."""
    n = len(x)
    turn = _normal(rng, n) * 0.15 + torch.from_numpy(rng.integers(0, 4, n)).float() * (torch.pi / 2)
    size = torch.exp(_normal(rng, n) * zoom)
    flip = torch.from_numpy(np.where(rng.random(n) < 0.5, -1.0, 1.0)).float()
    shift = torch.from_numpy(rng.uniform(-0.1, 0.1, (n, 2))).float()
    first = torch.stack([size * turn.cos() * flip, -size * turn.sin(), shift[:, 0]], 1)
    second = torch.stack([size * turn.sin() * flip, size * turn.cos(), shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _restained(x: Tensor, changes: Changes, rng: np.random.Generator) -> Tensor:
    n = len(x)
    density = -torch.log10(x.clamp(1 / 255, 1))
    mixing = torch.eye(3) + _normal(rng, n, 3, 3) * changes.mix
    density = torch.einsum("nij,njhw->nihw", mixing, density)
    gain = _normal(rng, n, 3, 1, 1) * changes.gain + _normal(rng, n, 1, 1, 1) * changes.common
    density = (density * torch.exp(gain) + _normal(rng, n, 3, 1, 1) * changes.offset).clamp(0, 2.4)
    noise = _normal(rng, *x.shape) * torch.from_numpy(rng.uniform(0, 0.02, (n, 1, 1, 1))).float()
    return (torch.pow(10.0, -density) + noise).clamp(0, 1)


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
