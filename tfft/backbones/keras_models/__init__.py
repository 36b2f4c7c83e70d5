"""Keras models outside keras.applications: runs, `.keras` files, KerasHub presets."""
