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
    middle_px
        Side of the middle, px, which is all that is looked at where a cell lies well inside; as `side_px` a multiple.
    middle_holds_um
        Cells whose box has no longer side than this lie well inside, µm.
    widths
        Channels at 1/fold of the resolution, and at half of each one before.
    """

    side_px: int = 128
    window_um: float = 29.0
    fold: int = 4
    middle_px: int = 96
    middle_holds_um: float = 17.0
    widths: tuple[int, ...] = (32, 64, 96, 128)

    def middle(self, side_px: int) -> slice:
        """Rows, or columns, of the middle `side_px` of a window."""
        cut = (self.side_px - side_px) // 2
        return slice(cut, self.side_px - cut)
