"""Readings of one device become joules of whoever holds it: counter ticks, power, boundaries, uncertainty."""
