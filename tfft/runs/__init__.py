"""The run directory: what a training leaves, and what is read of it. No TensorFlow."""
