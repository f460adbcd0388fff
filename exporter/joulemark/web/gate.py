"""The gate in front of the application: rate limit, host name, login, and who may write."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api.problems import Refused, from_refusal
from .browser import is_loopback, refuse_foreign_page, refuse_unknown_name
from .config_file import WebConfig
from .credentials import Credentials, credentials_of
from .headers import RawHeaders, replaced, request_headers, response_headers
from .rate_limit import Bucket
from .refusal_log import RefusalLog
from .tokens import Tokens
from .users import Users

_READS = ("GET", "HEAD", "OPTIONS")
# What a proxy adds: the writer is then somebody else than the one who connects.
_FORWARDED = {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}


class Gate:
    """An ASGI application around another; asks for configuration and tokens at every request, as they may change."""

    def __init__(
        self,
        app: ASGIApp,
        config: Callable[[], WebConfig] = WebConfig,
        tokens: Callable[[], Tokens | None] = lambda: None,
        allowed_hosts: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._config = config
        self._tokens = tokens
        self._allowed_hosts = allowed_hosts
        self._users = Users()
        self._bucket = Bucket(WebConfig().rate_limit)
        self._log = RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        config = self._config()
        app = self._app
        try:
            await self._admit(scope, config)
        except Refused as error:
            self._log.note(scope, error)
            app = from_refusal(error, _challenge(error, config))
        await app(scope, receive, _with_headers(send, response_headers(config.http_server_config.headers)))

    async def _admit(self, scope: Scope, config: WebConfig) -> None:
        """Raise Refused unless this request may go through."""
        self._refuse_too_many(config)
        headers = request_headers(scope["headers"])
        own_host, own_port = scope["server"] or ("localhost", 0)
        # Only a Unix socket has a path and no port as its address; no browser can speak to one.
        by_socket = own_port is None
        if not by_socket and is_loopback(own_host):
            refuse_unknown_name(headers, self._allowed_hosts)
        credentials = credentials_of(headers.get("authorization"))
        tokens = self._tokens()
        writer = tokens.name_of(credentials.token) if tokens and credentials.token else None
        if config.basic_auth_users and writer is None:
            await self._refuse_stranger(config, credentials)
        if scope["method"] in _READS:
            return
        refuse_foreign_page(headers)
        if tokens is None:
            _refuse_remote(("localhost", 0) if by_socket else scope["client"], headers)
        elif writer is None:
            _refuse_without_token(credentials)

    def _refuse_too_many(self, config: WebConfig) -> None:
        if self._bucket.limit is not config.rate_limit:
            self._bucket = Bucket(config.rate_limit)
        seconds = self._bucket.wait_seconds()
        if seconds:
            raise Refused(
                429, "Too many requests", "rate_limit of the web configuration file is reached",
                remedy=f"try again in {math.ceil(seconds)} s",
            )  # fmt: skip

    async def _refuse_stranger(self, config: WebConfig, credentials: Credentials) -> None:
        if credentials.user is not None:
            if await self._users.knows(config.basic_auth_users, credentials.user, credentials.password):
                return
            raise Refused(401, "No valid credentials", "user or password is wrong", remedy="log in as a known user")
        raise Refused(
            401, "No valid credentials", "this exporter is for known users",
            remedy="send user and password (curl --user NAME:PASSWORD), or a token",
        )  # fmt: skip


def _refuse_remote(client: tuple[str, int] | None, headers: Mapping[str, str]) -> None:
    """Without tokens this machine alone may write."""
    # A connection that is closed already has no address: it could have come from anywhere.
    host = client[0] if client else "a closed connection"
    if not is_loopback(host):
        raise Refused(
            403, "May not write", f"writes are accepted from this machine only, not from {host}",
            remedy="call the exporter from its own machine, or start it with --api.token-file and send a token",
        )  # fmt: skip
    if not _FORWARDED.isdisjoint(headers):
        raise Refused(
            403, "May not write", "the request came through a proxy, so nobody knows from which machine",
            remedy="start the exporter with --api.token-file and send a token",
        )  # fmt: skip


def _refuse_without_token(credentials: Credentials) -> None:
    if credentials.token is None:
        raise Refused(
            401, "No valid credentials", "writing needs a token here",
            remedy="send 'Authorization: Bearer TOKEN'; joulemark's client takes it from JOULEMARK_TOKEN",
        )  # fmt: skip
    raise Refused(
        401, "No valid credentials", "the token is not known here",
        remedy="send one that is in the exporter's --api.token-file",
    )  # fmt: skip


def _with_headers(send: Send, added: RawHeaders) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = replaced(message.get("headers", ()), added)
        await send(message)

    return sending


def _challenge(error: Refused, config: WebConfig) -> dict[str, str]:
    if error.status in (429, 503):
        return {"Retry-After": "1"}
    if error.status != 401:
        return {}
    return {"WWW-Authenticate": 'Basic realm="joulemark"' if config.basic_auth_users else 'Bearer realm="joulemark"'}
