"""Labelled sets of images: what is on disk, whether it is whole, who is in it, how it is split."""

from smearscan.datasets.check import CheckReport, check_set
from smearscan.datasets.registry import list_sets, load_set
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.splits import Split, default_protocol, list_protocols, make_splits

__all__ = [
    "CheckReport",
    "Sample",
    "SampleSet",
    "Split",
    "check_set",
    "default_protocol",
    "list_protocols",
    "list_sets",
    "load_set",
    "make_splits",
]
