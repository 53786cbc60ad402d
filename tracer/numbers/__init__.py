"""Sizes and items of tensors as numbers of the graph."""
