"""Keras models that are no application: runs, `.keras` files, KerasHub presets."""
