"""A program, not a module: lay out and draw one DOT file with the Graphviz inside pygraphviz.

``embedded_graphviz.py SITE SOURCE RESULT FORMAT ENGINE DPI``. It runs in a process of its own, because layout
can take for ever and the C library ends the process on some errors.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Draw the file named on the command line; return the exit status."""
    site, source, result, format_, engine, dpi = sys.argv[1:]
    sys.path.append(site)
    from pygraphviz import graphviz  # found only now that the path is set

    with open(source) as file:  # the library asks the file for its descriptor
        graph = graphviz.agread(file, None)
    if dpi:
        graphviz.agattr(graph, 0, b"dpi", dpi.encode())
    context = graphviz.gvContextWithBuiltins()
    if graphviz.gvLayout(context, graph, engine.encode()):
        sys.stderr.write("the layout failed\n")
        return 1
    if graphviz.gvRenderFilename(context, graph, format_.encode(), result.encode()):
        sys.stderr.write(f"nothing can write {format_}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
