"""Screening for acute lymphoblastic leukaemia from whole blood-smear images.

The way through, one direction only: slide, regions, detections, crops,
predictions, patient, report. `smearscan.pipeline` is the table of contents.
"""

__version__ = "0.1.0"
