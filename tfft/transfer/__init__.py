"""Freeze plans, the training loop, caches of what is frozen, runs."""
