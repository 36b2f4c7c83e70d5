"""The functions of the Python interface, by theme; `tfft.api` has them all."""
