"""The HTTP API: what is asked, what is answered, and how a refusal looks. Who may ask is decided in `web`."""

from .app import create_app

__all__ = ["create_app"]
