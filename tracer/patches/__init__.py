"""What stands in torch's classes while a trace runs, because no operator tells of it."""
