"""Labelled sets of images: what is on disk, whether it is whole, who is in it, how it is split."""

from smearscan.datasets.registry import list_sets, load_set
from smearscan.datasets.samples import Sample, SampleSet

__all__ = ["Sample", "SampleSet", "list_sets", "load_set"]
