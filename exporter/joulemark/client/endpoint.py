"""Where the exporter is and how to be let in: JOULEMARK_URL and its companions."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ..errors import ExporterAway

DEFAULT_URL = "http://127.0.0.1:9871"
_SCHEMES = ("http", "https", "unix")


@dataclass(frozen=True)
class Endpoint:
    """As given; nothing is opened or checked before the first call, so that a wrong setting ends no job."""

    url: str
    token: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None

    @classmethod
    def found(
        cls, url: str | None = None, token: str | None = None, environment: Mapping[str, str] = os.environ
    ) -> Endpoint:
        """From JOULEMARK_URL, _TOKEN or _TOKEN_FILE, _CA_FILE and _CERT_FILE; what is named here comes first."""
        return cls(
            (url or environment.get("JOULEMARK_URL") or DEFAULT_URL).rstrip("/"),
            token or environment.get("JOULEMARK_TOKEN") or None,
            environment.get("JOULEMARK_TOKEN_FILE") or None,
            environment.get("JOULEMARK_CA_FILE") or None,
            environment.get("JOULEMARK_CERT_FILE") or None,
        )

    def split(self) -> SplitResult:
        """The parts of the URL; raises ExporterAway for one that cannot be used."""
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in _SCHEMES and (parts.path if parts.scheme == "unix" else parts.hostname)
            _ = parts.port
        except ValueError:
            usable = ""
        if not usable:
            raise ExporterAway(
                f"{self.shown!r} is no address of an exporter: set JOULEMARK_URL to http://HOST:PORT, "
                "https://HOST:PORT or unix:///PATH"
            )
        return parts

    @property
    def shown(self) -> str:
        """The URL without a password."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}" if rest else self.url

    def authorization(self) -> str | None:
        """The Authorization header: a token, else the URL's user and password. A token file may change meanwhile."""
        token = self.token or self._token_of_file()
        if token:
            return f"Bearer {token}"
        parts = self.split()
        if parts.scheme == "unix" or parts.username is None:
            return None
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return "Basic " + base64.b64encode(login.encode()).decode()

    def _token_of_file(self) -> str | None:
        if self.token_file is None:
            return None
        try:
            return Path(self.token_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ExporterAway(f"JOULEMARK_TOKEN_FILE={self.token_file} cannot be read: {error}") from error
