"""The web configuration file, in the format of Prometheus' exporter-toolkit: same keys, same meaning.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ..errors import SettingsError

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuth = Literal[
    "", "NoClientCert", "RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]  # fmt: skip
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_BCRYPT = r"^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$"


def _seconds(value: object) -> float:
    """Seconds from a duration as Go writes it: 1s, 100ms, 1m30s, 0."""
    text = str(value)
    if text == "0":
        return 0.0
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        raise ValueError("write a duration such as 1s, 100ms or 1m30s; 0 for no limit")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


def _no_http2(value: bool) -> bool:
    if value:
        raise ValueError("HTTP/2 is not served here: write 'http2: false' or leave it out")
    return value


# A line break in it would begin another header.
HeaderValue = Annotated[str, Field(pattern=r"^[ -~]*$")]


class Section(BaseModel):
    """One section of the file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class TlsSection(Section):
    """`tls_server_config`. File names are absolute once `load_web_config` has read them."""

    cert: str = ""
    key: str = Field("", repr=False)
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: ClientAuth = ""
    client_allowed_sans: tuple[str, ...] | None = Field(None, strict=False)
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[str, ...] = Field((), strict=False)
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = Field((), strict=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it names."""
        return tuple(Path(name) for name in (self.cert_file, self.key_file, self.client_ca_file) if name)

    @model_validator(mode="after")
    def _whole(self) -> TlsSection:
        for text, file in (("cert", "cert_file"), ("key", "key_file")):
            if not (getattr(self, text) or getattr(self, file)):
                raise ValueError(f"{file} (or {text}) is missing")
        for text, file in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
            if getattr(self, text) and getattr(self, file):
                raise ValueError(f"give {file} or {text}, not both")
        return self


class Headers(Section):
    """The response headers that may be set."""

    strict_transport_security: HeaderValue = Field(default="", alias="Strict-Transport-Security")
    x_content_type_options: Literal["", "nosniff"] = Field(default="", alias="X-Content-Type-Options")
    x_frame_options: Literal["", "deny", "sameorigin"] = Field(default="", alias="X-Frame-Options")
    x_xss_protection: HeaderValue = Field(default="", alias="X-XSS-Protection")
    content_security_policy: HeaderValue = Field(default="", alias="Content-Security-Policy")


class HttpSection(Section):
    """`http_server_config`."""

    http2: Annotated[bool, AfterValidator(_no_http2)] = False
    headers: Headers = Headers()


class RateSection(Section):
    """`rate_limit`: at most `burst` requests at once, and one each `interval` seconds in the long run."""

    interval: Annotated[float, BeforeValidator(_seconds)] = 0.0
    burst: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _lets_something_through(self) -> RateSection:
        if self.interval and not self.burst:
            raise ValueError("burst must be 1 or more, or no request would ever pass")
        return self


class WebConfig(Section):
    """What the file says; `basic_auth_users` maps names to bcrypt hashes."""

    tls_server_config: TlsSection | None = None
    http_server_config: HttpSection = HttpSection()
    basic_auth_users: dict[str, Annotated[str, Field(pattern=_BCRYPT)]] = Field(default_factory=dict, repr=False)
    rate_limit: RateSection = RateSection()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it names."""
        return self.tls_server_config.files if self.tls_server_config else ()


def load_web_config(path: Path) -> WebConfig:
    """Read the file; raises SettingsError that names the key and never shows a value, which may be a secret."""
    data = _yaml(path)
    tls = data.get("tls_server_config")
    if isinstance(tls, dict):
        for key in ("cert_file", "key_file", "client_ca_file"):
            if isinstance(tls.get(key), str) and tls[key]:
                tls[key] = str(path.parent.absolute() / tls[key])
    try:
        return WebConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        why = {"extra_forbidden": "there is no such key", "string_pattern_mismatch": "it is not a bcrypt hash"}
        text = why.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise SettingsError(f"web configuration file {path}: {key}: {text}") from None


def _yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(), Loader=_StrictLoader)  # noqa: S506  it is a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"web configuration file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        # Its own text quotes the line, which may hold a hash or a key.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"web configuration file {path}{where}: {getattr(error, 'problem', 'not YAML')}") from None
    if not isinstance(data, dict) or not data:
        raise SettingsError(f"web configuration file {path} is empty: leave --web.config.file out instead")
    return data


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is there twice, where the plain loader silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)
