"""The run directory: what training writes, and what is read from it. No TensorFlow."""
