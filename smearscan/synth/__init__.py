"""Synthetic smears with known truth, for tests, benchmarks and sample data. No real pixel is in them."""

from smearscan.synth.laboratories import Laboratory, find_laboratory, list_laboratories
from smearscan.synth.paint import TrueCell
from smearscan.synth.smear import Smear, SmearOptions, draw_smear
from smearscan.synth.write import SmearTruth, read_truth, write_smear

__all__ = [
    "Laboratory",
    "Smear",
    "SmearOptions",
    "SmearTruth",
    "TrueCell",
    "draw_smear",
    "find_laboratory",
    "list_laboratories",
    "read_truth",
    "write_smear",
]
