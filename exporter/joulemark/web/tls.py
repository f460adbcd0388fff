"""From the `tls_server_config` section to an SSL context; what Python's ssl cannot do is refused, not ignored."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import SettingsError
from .config_file import TlsSection

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Go's names, as the file has them, and OpenSSL's. The suites of TLS 1.3 are always on, with both.
_SUITES_13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
_SUITES_12 = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{name}"
    for key in ("ECDSA", "RSA")
    for go, name in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
    )
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


def tls_context(section: TlsSection) -> ssl.SSLContext:
    """A context for new connections; raises SettingsError that names the key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _versions(context, section)
    _ciphers(context, section)
    _curves(context, section)
    _certificate(context, section)
    _clients(context, section)
    return context


def allowed(peer: dict[str, object], sans: tuple[str, ...] | None) -> bool:
    """Whether a client's verified certificate carries one of these names; all do when there are none."""
    if sans is None:
        return True
    names = peer.get("subjectAltName", ())
    assert isinstance(names, tuple)
    return any(value in sans for _, value in names)


def _versions(context: ssl.SSLContext, section: TlsSection) -> None:
    for key in ("min_version", "max_version"):
        if getattr(section, key) not in _VERSIONS:
            raise _refused(key, f"{getattr(section, key)} is broken and not offered; use TLS12 or TLS13")
    context.minimum_version = _VERSIONS[section.min_version]
    context.maximum_version = _VERSIONS[section.max_version]
    if context.minimum_version > context.maximum_version:
        raise _refused("min_version", "it is above max_version")


def _ciphers(context: ssl.SSLContext, section: TlsSection) -> None:
    if not section.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not section.cipher_suites:
        return
    for suite in section.cipher_suites:
        if suite not in _SUITES_12 and suite not in _SUITES_13:
            known = ", ".join(sorted({*_SUITES_12, *_SUITES_13}))
            raise _refused("cipher_suites", f"unknown cipher {suite!r}; known: {known}")
    suites = [_SUITES_12[suite] for suite in section.cipher_suites if suite in _SUITES_12]
    if suites:
        context.set_ciphers(":".join(suites))
    elif context.maximum_version == ssl.TLSVersion.TLSv1_2:
        raise _refused("cipher_suites", "none of them is for TLS12, which max_version asks for")
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def _curves(context: ssl.SSLContext, section: TlsSection) -> None:
    for curve in section.curve_preferences:
        if curve not in _CURVES:
            raise _refused("curve_preferences", f"unknown curve {curve!r}; known: {', '.join(_CURVES)}")
    if len(section.curve_preferences) > 1:
        raise _refused("curve_preferences", "Python's ssl takes one curve: name one, or leave it out")
    for curve in section.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])


def _certificate(context: ssl.SSLContext, section: TlsSection) -> None:
    def encrypted() -> str:
        raise _refused("key_file", "the key is encrypted; give one that is not, readable by this user alone")

    try:
        with _file(section.cert_file, section.cert) as cert, _file(section.key_file, section.key) as key:
            context.load_cert_chain(cert, key, password=encrypted)
    except (OSError, ValueError) as error:
        names = f"{section.cert_file or 'cert'} and {section.key_file or 'key'}"
        raise _refused("cert_file", f"{names} cannot be used together: {_reason(error)}") from error


def _clients(context: ssl.SSLContext, section: TlsSection) -> None:
    mode = _CLIENT_AUTH.get(section.client_auth_type)
    if mode is None:
        raise _refused(
            "client_auth_type",
            f"{section.client_auth_type} takes certificates without verifying them, which Python's ssl does not; "
            "use RequireAndVerifyClientCert",
        )
    given = bool(section.client_ca or section.client_ca_file)
    if given and mode == ssl.CERT_NONE:
        raise _refused("client_ca_file", "it is of no use without client_auth_type")
    if section.client_allowed_sans is not None and mode != ssl.CERT_REQUIRED:
        raise _refused("client_allowed_sans", "it needs client_auth_type: RequireAndVerifyClientCert")
    context.verify_mode = mode
    try:
        if given:
            context.load_verify_locations(section.client_ca_file or None, cadata=section.client_ca or None)
        elif mode != ssl.CERT_NONE:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except (OSError, ValueError) as error:
        raise _refused("client_ca_file", f"{section.client_ca_file} cannot be used: {_reason(error)}") from error


@contextmanager
def _file(name: str, text: str) -> Iterator[str]:
    """The name of a file with this text; ssl reads files alone, and a secret must not touch a disk."""
    if name:
        yield name
        return
    descriptor = os.memfd_create("joulemark")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)


def _refused(key: str, why: str) -> SettingsError:
    return SettingsError(f"tls_server_config.{key}: {why}")
