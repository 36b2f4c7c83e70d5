"""Tensors that were computed once, on disk: whole entries, keyed by all that decides them."""
