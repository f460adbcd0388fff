"""What the boards ask: PromQL apart from panels, one module a board. `$run` and its like are the boards' variables."""
