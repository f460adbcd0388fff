"""From a snapshot to the text of /metrics."""
