"""From a backbone and heads to one Keras model that carries its preprocessing."""
