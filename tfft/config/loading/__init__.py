"""Recipes from files: YAML with line numbers, overrides, checks, faults."""
