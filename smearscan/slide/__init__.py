"""Reading smears: one seam, `open_slide`, over TIFF, vendor formats and plain images; scale; focus."""

from smearscan.slide.base import Slide
from smearscan.slide.open import open_slide

__all__ = ["Slide", "open_slide"]
