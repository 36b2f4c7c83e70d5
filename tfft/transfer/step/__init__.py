"""One compiled training step, and what belongs in it: optimizers, rules by block, averages."""
