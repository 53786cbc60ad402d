"""Calls that are one node: custom autograd functions, traced programs, what transforms return."""
