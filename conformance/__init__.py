"""Conformance: every sample of the corpora that torch ships, replayed and compared with eager bit by bit."""
