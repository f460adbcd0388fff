"""Draws the boards as plain pictures from their JSON and live answers: for proofing, not Grafana's own rendering."""
