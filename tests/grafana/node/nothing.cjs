// Stands in for what draws.
