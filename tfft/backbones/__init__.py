"""Builds what the catalog names."""
