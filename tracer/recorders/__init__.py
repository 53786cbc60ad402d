"""What the dispatcher tells of a run, and what no operator tells, put into the graph."""
