"""`joulemark frontier`: which runs no other beats in energy and quality, as an exporter of its own."""
