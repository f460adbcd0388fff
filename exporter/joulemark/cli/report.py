"""`joulemark report` (being wired)."""
def command() -> None:
    """Report."""
