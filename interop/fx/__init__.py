"""Programs as ``torch.fx.GraphModule``, and what the metadata of such modules says of a program."""

from .conversion import graph_module_of

__all__ = ["graph_module_of"]
