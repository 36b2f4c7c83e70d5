"""A MODEL on a split of data: figures."""
