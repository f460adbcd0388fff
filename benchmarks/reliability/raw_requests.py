"""Requests that are broken below the schema, as a strategy."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from urllib.parse import quote

from hypothesis import strategies as st

PATHS = (
    "/api/v1/stage", "/api/v1/stage/0f3b6d1c2a4e5f60", "/api/v1/stage/x/heartbeat", "/api/v1/runs", "/api/v1/runs/kd",
    "/api/v1/runs/kd/scores", "/api/v1/runs/kd/artifacts", "/api/v1/windows", "/api/v1/devices", "/", "/metrics",
    "/docs", "/static/style.css", "/-/healthy", "/openapi.json",
)  # fmt: skip
WRITES = (
    ("PUT", "/api/v1/stage"), ("POST", "/api/v1/stage/0f3b6d1c2a4e5f60/heartbeat"), ("DELETE", "/api/v1/stage/x"),
    ("PUT", "/api/v1/runs/kd"), ("POST", "/api/v1/runs/kd/scores"), ("POST", "/api/v1/runs/kd/artifacts"),
)  # fmt: skip
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "BREW")
FIELDS = (
    "run", "stage", "phase", "devices", "ttl_seconds", "share", "nest", "tokens", "pipeline", "seed", "labels",
    "idle_watts", "benchmark", "score", "reference", "n", "artifact", "kind", "role",
)  # fmt: skip
SCRAPS = (
    b"", b"null", b"[]", b"{", b'{"run":', b'"', b"{}{}", b"\xff\xfe{}", b'{"run":"\\ud800"}', b'{"run":"a","run":"b"}',
    b'{"\\u0000":1}', b"NaN", b'{"score":Infinity}', b'{"score":1e999,"benchmark":"b"}', b'{"n":' + b"9" * 5000 + b"}",
    b"[" * 30_000, b'{"a":' * 10_000, b'{"labels":' + b"{" * 60_000, b"x" * 70_000, b"\x00" * 100,
    '{"run":"a"}'.encode("utf-16"), b'{"run":"' + "é".encode("latin-1") + b'"}',
)  # fmt: skip


@dataclass(frozen=True)
class RawRequest:
    """One request."""

    method: str
    path: str
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...]

    def send(self, connection: http.client.HTTPConnection) -> tuple[int, str, bytes]:
        """Status, media type and body of the answer; an answer that does not come raises."""
        connection.putrequest(self.method, self.path, skip_accept_encoding=True)
        for name, value in self.headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(self.body)))
        connection.endheaders(self.body)
        answer = connection.getresponse()
        body = answer.read()
        kind = answer.headers.get("content-type", "").partition(";")[0]
        return answer.status, kind, body


_numbers = st.one_of(st.integers(), st.floats(), st.sampled_from((2**53, 2**64, -1, 0, 10**400, -0.0, 5e-324, 1.7e308)))
_texts = st.one_of(
    st.text(max_size=20), st.sampled_from(("kd", "teacher", "student", "unattributed", "gpu0", "", " ", "é")),
    st.integers(60, 40_000).map(lambda size: "x" * size),
)  # fmt: skip
_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4), max_leaves=8,
)  # fmt: skip
_objects = st.dictionaries(st.sampled_from(FIELDS) | _texts, _values, max_size=6)


def _cut(text: bytes, share: float) -> bytes:
    return text[: int(len(text) * share)]


_json = _objects.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
_bodies = st.one_of(_json, st.builds(_cut, _json, st.floats(0, 1)), st.sampled_from(SCRAPS), st.binary(max_size=200))
_paths = st.one_of(
    st.sampled_from(PATHS),
    st.builds(lambda path, rest: f"{path}/{quote(rest, safe='')}", st.sampled_from(PATHS), st.text(max_size=10)),
    st.builds(lambda path, rest: f"{path}?{quote(rest)}", st.sampled_from(PATHS), st.text(max_size=20)),
    st.text(max_size=20).map(lambda text: "/" + quote(text)), st.integers(1, 8000).map(lambda size: "/" + "a" * size),
)  # fmt: skip
_header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.strip)
_harmless = ("Content-Type", "Accept", "Accept-Encoding", "Idempotency-Key", "If-None-Match", "X-Anything")
_telling = (*_harmless, "Authorization", "Origin", "Referer", "X-Forwarded-For", "Expect", "Cookie")


def _headers(names: tuple[str, ...]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    pairs = st.tuples(st.sampled_from(names), _header_values)
    return st.lists(pairs, max_size=3, unique_by=lambda pair: pair[0]).map(tuple)


# Most at calls that take a body, so that it is read; the others anywhere.
_broken_bodies = st.builds(
    lambda call, body, headers: RawRequest(call[0], call[1], body, headers),
    st.sampled_from(WRITES),
    _bodies,
    _headers(_harmless),
)
_anything = st.builds(RawRequest, st.sampled_from(METHODS), _paths, _bodies, _headers(_telling))
REQUESTS = st.one_of(_broken_bodies, _broken_bodies, _anything)
