"""Programs on several processes: collectives, replicated and sharded modules."""
