"""The functions of the Python interface, by theme; `tfft` has them all."""
