"""The client: books stages from inside a job. Standard library only; its public names are in `joulemark` itself."""

from .endpoint import DEFAULT_URL
from .transport import Transport

__all__ = ["DEFAULT_URL", "Transport"]
