"""tfft: from a pretrained backbone to a deployed image classifier, with proof at every step."""

__version__ = "0.1.0"
