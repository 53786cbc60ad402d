"""Torch's dispatcher and torch's own things as the graph has them: schemas, constants, types, modes."""
