"""Code that all samplers share: the base class, chains, trial runs and statistics."""
