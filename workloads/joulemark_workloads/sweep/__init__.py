"""A grid of runs: in order, within a budget, resumable, with a table at the end."""
