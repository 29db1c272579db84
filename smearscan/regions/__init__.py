"""Where to look on a slide: the monolayer, as tiles."""

from smearscan.regions.find import find_regions

__all__ = ["find_regions"]
