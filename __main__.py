"""Runs the command line with ``python -m opscope``."""

from .cli.main import main

main()
