"""Recipes: what a user writes, as strict and immutable data."""
