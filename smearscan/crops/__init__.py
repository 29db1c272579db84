"""Images of single cells: cut, masked, measured, made ready for a network."""

from smearscan.crops.cut import cut_crops, sides_um
from smearscan.crops.mask import load_segmenter, segment_cells, shipped_segmenter
from smearscan.crops.measure import measure_cell
from smearscan.crops.neighbours import batches_of_neighbours, in_bands

__all__ = [
    "batches_of_neighbours",
    "cut_crops",
    "in_bands",
    "load_segmenter",
    "measure_cell",
    "segment_cells",
    "shipped_segmenter",
    "sides_um",
]
