"""What the configured files say now: who may write, who may come in, and by which TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError
from ..settings import Settings
from .config_file import WebConfig, load_web_config
from .tls import tls_context
from .tokens import Tokens, load_tokens
from .watched_file import WatchedFile


@dataclass(frozen=True)
class Security:
    """What new connections get: a TLS context (None for plain HTTP) and the configuration it came from."""

    context: ssl.SSLContext | None
    config: WebConfig


class Protection:
    """Tokens and web configuration as the files have them now; raises SettingsError when they cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = WatchedFile(settings.token_file, load_tokens) if settings.token_file else None
        self._security = (
            WatchedFile(
                settings.web_config_file, _load_security, others=lambda x: x.config.files, replaces=_refuse_opening
            )
            if settings.web_config_file
            else None
        )
        self._open = Security(None, WebConfig())

    @property
    def security(self) -> Security:
        """For new connections and requests."""
        return self._security.content if self._security else self._open

    @property
    def tokens(self) -> Tokens | None:
        """Who may write; None when no token file is configured."""
        return self._tokens.content if self._tokens else None

    def refresh(self) -> None:
        """Look whether the files changed."""
        for file in (self._tokens, self._security):
            if file is not None:
                file.refresh()

    def forget(self) -> None:
        """Read the files at the next look even if they seem unchanged."""
        for file in (self._tokens, self._security):
            if file is not None:
                file.forget()


def _load_security(path: Path) -> Security:
    config = load_web_config(path)
    try:
        context = tls_context(config.tls_server_config) if config.tls_server_config else None
    except SettingsError as error:
        raise SettingsError(f"web configuration file {path}: {error}") from error
    return Security(context, config)


def _refuse_opening(old: Security, new: Security) -> None:
    """A half-written file must not open the door: what protects as a whole goes only with a restart."""
    if old.context is not None and new.context is None:
        raise SettingsError("tls_server_config is gone: restart to serve without TLS")
    if old.context is None and new.context is not None:
        raise SettingsError("tls_server_config is new: restart to serve with TLS")
    if old.config.basic_auth_users and not new.config.basic_auth_users:
        raise SettingsError("basic_auth_users is gone: restart to serve everybody")
