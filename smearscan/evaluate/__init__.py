"""Trained models measured on labelled sets: figures with intervals, per subject, calibration, cost."""
