"""TFLite files of one model: built, quantised, described, measured."""
