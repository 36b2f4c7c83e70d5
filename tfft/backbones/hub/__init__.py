"""SavedModels as trainable backbones: found, scanned, loaded, divided into blocks."""
