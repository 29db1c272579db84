"""Images in, probabilities out, always in one batch shape.

Floating-point sums differ in the last bit between batch shapes, so every batch is filled up to `BATCH_SIZE`: a row's
probabilities then depend on its image alone, whatever came with it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from smearscan.resources import has_native_bfloat16

if TYPE_CHECKING:
    import torch

    from smearscan.models.cards import InputCard, ModelCard
    from smearscan.models.packages import Package

#: Images of cells per forward pass. Fixed, not a setting: another shape gives other last bits.
BATCH_SIZE = 32

Precision = Literal["auto", "float32", "bfloat16"]


def infer(
    package: Package,
    images: np.ndarray,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Class probabilities of images, as `probabilities` makes them.

    Parameters
    ----------
    package
        From `load_package`.
    images
        (N, S, S, 3), channels and side S as the card asks: uint8, or floating point in 0 to 1. The card's
        standardisation is applied here.
    device
        "auto" takes the first CUDA device where there is one, else the CPU.
    precision
        "auto" multiplies in bfloat16 where the processor does so natively, else in float32.
    batch_size
        Images per forward pass, the same for all that a package ever sees: another shape gives other last bits.

    Returns
    -------
    np.ndarray
        (N, C) float32, rows sum to 1, columns in the card's order of classes.

    Raises
    ------
    ValueError
        If the images have another shape, dtype or range.
    """
    found = logits(package, images, device=device, precision=precision, batch_size=batch_size)
    return probabilities(found, package.card)


def probabilities(raw: np.ndarray, card: ModelCard) -> np.ndarray:
    """Probabilities of network outputs by their card: its temperature, then how often each class is met.

    A network that was drawn all classes alike answers as if they were met alike. By Bayes' rule each probability is
    multiplied by how often its class is met, and all are scaled to sum to 1.

    Parameters
    ----------
    raw
        (N, C) floating point, from `logits`.

    Returns
    -------
    np.ndarray
        (N, C) float32, rows sum to 1.

    References
    ----------
    Saerens et al. 2002, equation 2.4, https://doi.org/10.1162/089976602753284446.
    """
    frequencies = np.array([card.frequencies.get(name, 1.0) for name in card.classes])
    return _softmax(raw / card.temperature + np.log(frequencies))


def logits(
    package: Package,
    images: np.ndarray,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Raw network outputs (N, C) float32, before temperature: what calibration is fitted on. Arguments as `infer`."""
    import torch

    card = package.card
    _check(images, card.input)
    where = _device(device)
    model = package.model.to(where)
    out = np.empty((len(images), len(card.classes)), np.float32)
    with torch.inference_mode(), _autocast(where, precision):
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            batch = _padded(part, batch_size).to(where)
            out[start : start + len(part)] = model(standardise(batch, card.input)).float().cpu().numpy()[: len(part)]
    return out


def standardise(batch: torch.Tensor, card: InputCard) -> torch.Tensor:
    """Network input (N, 3, S, S) float32, channels last, of images (N, S, S, 3) uint8 or floating point in 0 to 1."""
    import torch

    x = batch.to(torch.float32, copy=True).contiguous()
    # (x / largest - mean) / sd, as one product and one difference; whole rows at a time, three numbers are slower.
    factors, offsets = _row_constants(card.mean, card.sd, 255 if batch.dtype == torch.uint8 else 1, x.shape[2])
    x.flatten(2).mul_(factors.to(x.device)).sub_(offsets.to(x.device))
    return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=16)
def _row_constants(
    mean: tuple[float, ...], sd: tuple[float, ...], largest: int, n_pixels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors and offsets (3 · n_pixels,) float32 of a row, made once for all batches."""
    import torch

    means, deviations = (torch.tensor(three).repeat(n_pixels) for three in (mean, sd))
    return 1 / (largest * deviations), means / deviations


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether this processor multiplies in bfloat16 itself: GPUs before Ampere emulate it slowly, or not at all."""
    import torch

    if device.type != "cuda":
        return has_native_bfloat16()
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def _padded(part: np.ndarray, batch_size: int) -> torch.Tensor:
    import torch

    if len(part) == batch_size and part.flags.writeable:  # torch warns of others
        return torch.from_numpy(part)
    batch = np.zeros((batch_size, *part.shape[1:]), part.dtype)
    batch[: len(part)] = part
    return torch.from_numpy(batch)


def _check(images: np.ndarray, card: InputCard) -> None:
    side = card.side_px
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        raise ValueError(f"images must be (N, {side}, {side}, 3), not {images.shape}")
    if images.dtype == np.uint8 or len(images) == 0:
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be uint8 or floating point in 0 to 1, not {images.dtype}")
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError("floating-point images must lie in 0 to 1")


def _device(device: str) -> torch.device:
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def _autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    import torch

    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16(device) else "float32"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _softmax(z: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float32, in double precision inside."""
    z = z.astype(np.float64)
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(z / z.sum(axis=-1, keepdims=True), np.float32)
