"""Models on a server: addresses, requests over REST and gRPC, checked answers."""
