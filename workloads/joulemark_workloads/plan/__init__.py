"""What an experiment will take, before anything runs and without any model at hand."""
