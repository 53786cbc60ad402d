"""Functions inside the program as blocks of a node: control flow, transforms, scripted code."""
