"""What exists, as frozen specs: no TensorFlow here."""
