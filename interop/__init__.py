"""Graphs as files of other tools; what writes them needs no torch."""
