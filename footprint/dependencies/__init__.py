"""Which Python modules a program runs, where they come from, and what to install for them."""
