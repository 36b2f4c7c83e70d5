"""Linear heads, solved on features."""
