"""Several runs on the same data: did transfer help, which values are best, what to try first."""
