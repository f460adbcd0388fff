"""`joulemark report` (placeholder while wiring)."""


def command() -> None:
    """Report."""
