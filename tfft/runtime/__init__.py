"""One Predictor interface over Keras, SavedModel and TFLite; TFLite conversion."""
