"""What the mask network sees and is made of; apart from it, so that whoever cuts for it need not load torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MaskNetPlan:
    """Every hyper-parameter of `CellMaskNet`.

    Attributes
    ----------
    side_px
        Side of the square input, px; a multiple of fold × 2 ** (len(widths) - 1).
    window_um
        What that side covers, µm.
    fold
        The finest maps have 1/fold of the input's resolution; the outline has all of it again.
    widths
        Channels at 1/fold of the resolution, and at half of each one before.
    """

    side_px: int = 128
    window_um: float = 29.0
    fold: int = 4
    widths: tuple[int, ...] = (32, 64, 96, 128)
