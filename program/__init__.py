"""Programs: what ``opscope.trace`` returns, and all that one can be run as, saved to and read from."""
