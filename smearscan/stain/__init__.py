"""Optical density, and normalisers fitted once per slide and applied to each crop."""

from smearscan.stain.normaliser import Normaliser, fit_normaliser
from smearscan.stain.sample import StainSample, sample_stain

__all__ = ["Normaliser", "StainSample", "fit_normaliser", "sample_stain"]
