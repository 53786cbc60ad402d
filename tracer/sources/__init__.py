"""Where an operator was called, and what the user calls its result."""
