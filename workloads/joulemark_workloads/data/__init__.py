"""Text into packed blocks of tokens."""
