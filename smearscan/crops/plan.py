"""What the mask network sees and is made of; apart from it, so that whoever cuts for it need not load torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MaskNetPlan:
    """Every hyper-parameter of `CellMaskNet`.

    Attributes
    ----------
    side_px
        Side of the square input, px; a multiple of 2 × 2 ** (len(widths) - 1).
    window_um
        What that side covers, µm.
    widths
        Channels at 1/2, 1/4, 1/8 … of the input's resolution.
    """

    side_px: int = 128
    window_um: float = 29.0
    widths: tuple[int, ...] = (32, 48, 80, 96)
