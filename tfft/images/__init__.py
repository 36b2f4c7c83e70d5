"""One exact way from encoded bytes to pixels, without TensorFlow."""
