"""Accuracy, calibration and their intervals, from plain arrays."""
