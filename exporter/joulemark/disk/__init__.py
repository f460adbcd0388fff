"""The ledger as one SQLite file: written durably, read back, copied, moved, pruned."""
