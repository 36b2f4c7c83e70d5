"""SavedModel and TFLite files, each checked against the Keras model."""
