"""The phases of a run: each does its work under its own stage and leaves what it found in the run's folder."""
