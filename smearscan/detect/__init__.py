"""Leukocytes: a YOLO network and a classical detector behind one seam, and one box a cell over all tiles."""

from smearscan.detect.boxes import merge_detections
from smearscan.detect.ladder import detect_image
from smearscan.detect.search import create_detector, find_leukocytes

__all__ = ["create_detector", "detect_image", "find_leukocytes", "merge_detections"]
