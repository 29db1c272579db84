"""Train the mask network: ``python -m smearscan.train.cellmask --data FOLDER --cache FOLDER --out WEIGHTS``.

It learns from the cells drawn by hand, on fields of all laboratories, and from the outlines that the installed network
gave the cells of the table. What is printed was measured on hand-drawn cells that were held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from smearscan.crops.central import outline_of_centre
from smearscan.crops.mask import CellSegmenter, load_segmenter
from smearscan.crops.network import CellMaskNet
from smearscan.train.cells import load_cells
from smearscan.train.mask_data import UM_PER_PX, LabelledCell, MaskSource
from smearscan.train.mask_sources import read_fields, split_cells
from smearscan.train.mask_taught import taught_cells
from smearscan.train.masks import MaskRecipe, dice_of_cells, train_masks

#: Assumed diameters of held-out cells, µm; the card's figures are those of 12 µm.
_DIAMETERS_UM = (9.0, 12.0, 16.0)


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="weights, safetensors")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    given = parser.parse_args()
    cells, held_out = split_cells(given.data / "segmentation_wbc")
    source = MaskSource(cells, read_fields(given.data))
    recipe = MaskRecipe(n_steps=given.steps, batch_size=given.batch, rate=given.rate, seed=given.seed)
    start = None
    if given.start:
        start = CellMaskNet()
        start.load_state_dict(load_file(given.start))
    taught = taught_cells(load_cells(given.data, given.cache))
    train_masks(source, recipe, given.out, _tell, start=start, taught=taught)
    print_dice(load_segmenter(given.out), held_out)


def print_dice(segmenter: CellSegmenter, cells: list[LabelledCell]) -> None:
    """Mean Dice of whole cell and nucleus, by set, assumed diameter, and how much of the window is shown."""
    plan = segmenter.plan
    for name in ("dataset1", "dataset2"):
        chosen = [cell for cell in cells if cell.name.startswith(name)]
        for diameter_um in _DIAMETERS_UM:
            told = [
                " ".join(
                    f"{share:.3f}" for share in dice_of_cells(_shown(segmenter, side), chosen, diameter_um).mean(0)
                )
                for side in (plan.side_px, plan.middle_px)
            ]
            print(f"{name} {len(chosen)} cells of {diameter_um:g} µm: {told[0]}; middle {told[1]}", flush=True)


def _shown(segmenter: CellSegmenter, side_px: int) -> Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """What outlines the cells of windows when their middle `side_px` are shown, on the whole window's pixels."""
    shown, around = segmenter.plan.middle(side_px), (segmenter.plan.side_px - side_px) // 2

    def segment(windows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        outlined = segmenter.outlines(np.ascontiguousarray(windows[:, shown, shown]))
        cut = [outline_of_centre(cell, nucleus, UM_PER_PX) for cell, nucleus in outlined]
        return [(np.pad(cell, around), np.pad(nucleus, around)) for cell, nucleus in cut]

    return segment


def _tell(step: int, loss: float, seconds: float) -> None:
    print(f"step {step} loss {loss:.3f} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
