"""What the exporter survives: figures of the reliability part."""
