"""Answers and metrics of a MODEL on a split of data."""
