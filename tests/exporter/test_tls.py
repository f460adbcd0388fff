"""TLS and client certificates, as the web configuration file asks for them."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from exporter_process import Exporter, wait_for

from joulemark.errors import SettingsError
from joulemark.web.config_file import load_web_config
from joulemark.web.tls import tls_context

MakeExporter = Callable[..., Exporter]


class Papers:
    """A certificate authority and a server's certificate from it, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.renew()

    def renew(self) -> None:
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.folder / "server.key")
        issued.cert_chain_pems[0].write_to_path(self.folder / "server.crt")

    def config(self, *lines: str) -> Path:
        path = self.folder / "web.yml"
        # Relative names are relative to the file.
        keys = ["cert_file: server.crt", "key_file: server.key", *lines]
        path.write_text("tls_server_config:\n" + "".join(f"  {line}\n" for line in keys))
        return path

    def client(self, *names: str, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """What a client trusts, and with names given the certificate that it shows."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if names:
            (authority or self.authority).issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


def serve(make_exporter: MakeExporter, config: Path, context: ssl.SSLContext) -> Exporter:
    return make_exporter("--source", "replay", "--web.config.file", str(config), client={"verify": context})


def secured(exporter: Exporter, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", exporter.port), timeout=10)
    return context.wrap_socket(raw, server_hostname="localhost")


def may_connect(exporter: Exporter, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{exporter.url}/-/ready", verify=context, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_it_serves_https_and_nothing_else(make_exporter: MakeExporter, papers: Papers) -> None:
    exporter = serve(make_exporter, papers.config(), papers.client())
    assert exporter.http.put("/api/v1/stage", json={"run": "kd", "stage": "teacher"}).status_code == 200
    assert "joulemark_energy_joules_total" in exporter.http.get("/metrics").text
    with pytest.raises(httpx.TransportError):
        httpx.get(exporter.url.replace("https", "http"), trust_env=False)
    assert not may_connect(exporter, ssl.create_default_context())


def test_many_requests_on_one_connection_and_bodies_of_all_sizes(make_exporter: MakeExporter, papers: Papers) -> None:
    exporter = serve(make_exporter, papers.config(), papers.client())
    for size in (0, 1, 1000, 30_000, 65_000):
        labels = {"labels": {"note": "x" * 200}, **({"pipeline": "p"} if size else {})}
        body = httpx.Request("PUT", exporter.url, json=labels).content + b" " * size
        answer = exporter.http.put("/api/v1/runs/kd", content=body)
        assert answer.status_code == 200


def test_a_renewed_certificate_is_shown_to_new_connections(make_exporter: MakeExporter, papers: Papers) -> None:
    exporter = serve(make_exporter, papers.config(), papers.client())

    def shown() -> bytes:
        with secured(exporter, papers.client()) as connection:
            found = connection.getpeercert(binary_form=True)
            assert found
            return found

    before = shown()
    assert shown() == before
    papers.renew()
    wait_for(lambda: shown() != before)


def test_a_change_that_cannot_be_used_keeps_what_was(make_exporter: MakeExporter, papers: Papers) -> None:
    exporter = serve(make_exporter, papers.config(), papers.client())
    papers.authority.issue_cert("localhost").private_key_pem.write_to_path(papers.folder / "server.key")
    exporter.wait_for_log("cannot be used together")
    assert may_connect(exporter, papers.client())
    papers.renew()
    (papers.folder / "web.yml").write_text("rate_limit: {interval: 0}\n")
    exporter.wait_for_log("restart to serve without TLS")
    assert may_connect(exporter, papers.client())


def test_only_clients_with_a_certificate_of_the_authority_come_in(make_exporter: MakeExporter, papers: Papers) -> None:
    config = papers.config("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: ca.pem")
    exporter = serve(make_exporter, config, papers.client("prometheus.example.org"))
    assert may_connect(exporter, papers.client("anybody.example.org"))
    assert not may_connect(exporter, papers.client())
    assert not may_connect(exporter, papers.client("prometheus.example.org", authority=trustme.CA()))


def test_only_the_allowed_names_come_in(make_exporter: MakeExporter, papers: Papers) -> None:
    config = papers.config(
        "client_auth_type: RequireAndVerifyClientCert", "client_ca_file: ca.pem",
        "client_allowed_sans: [prometheus.example.org, 10.0.0.7]",
    )  # fmt: skip
    exporter = serve(make_exporter, config, papers.client("prometheus.example.org"))
    assert may_connect(exporter, papers.client("other.example.org", "prometheus.example.org"))
    assert may_connect(exporter, papers.client("10.0.0.7"))
    assert not may_connect(exporter, papers.client("other.example.org"))
    assert not may_connect(exporter, papers.client("x.prometheus.example.org"))


def test_a_certificate_if_given_must_be_good(make_exporter: MakeExporter, papers: Papers) -> None:
    config = papers.config("client_auth_type: VerifyClientCertIfGiven", "client_ca_file: ca.pem")
    exporter = serve(make_exporter, config, papers.client())
    assert may_connect(exporter, papers.client("anybody.example.org"))
    assert not may_connect(exporter, papers.client("anybody.example.org", authority=trustme.CA()))


def test_versions_are_held_to(make_exporter: MakeExporter, papers: Papers) -> None:
    exporter = serve(make_exporter, papers.config("min_version: TLS13"), papers.client())
    old = papers.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert not may_connect(exporter, old)


def test_ciphers_are_those_of_the_list(make_exporter: MakeExporter, papers: Papers) -> None:
    lines = ("max_version: TLS12", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]")
    exporter = serve(make_exporter, papers.config(*lines), papers.client())
    other = papers.client()
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert not may_connect(exporter, other)
    with secured(exporter, papers.client()) as connection:
        assert (connection.cipher() or ("",))[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["client_auth_type: RequireAnyClientCert"], "takes certificates without verifying"),
        (["client_auth_type: RequestClientCert"], "takes certificates without verifying"),
        (["client_ca_file: ca.pem"], "of no use without client_auth_type"),
        (["client_allowed_sans: [a]"], "it needs client_auth_type"),
        (["client_auth_type: RequireAndVerifyClientCert", "client_ca_file: nowhere.pem"], "nowhere.pem cannot be used"),
        (["min_version: TLS10"], "TLS10 is broken"),
        (["min_version: TLS13", "max_version: TLS12"], "above max_version"),
        (["cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]"], "unknown cipher"),
        (["max_version: TLS12", "cipher_suites: [TLS_AES_128_GCM_SHA256]"], "none of them is for TLS12"),
        (["curve_preferences: [CurveP256, X25519]"], "takes one curve"),
        (["curve_preferences: [P256]"], "unknown curve"),
    ],
)
def test_what_cannot_be_done_is_refused_by_key(papers: Papers, lines: list[str], words: str) -> None:
    section = load_web_config(papers.config(*lines)).tls_server_config
    assert section
    with pytest.raises(SettingsError, match=words):
        tls_context(section)


def test_an_encrypted_key_is_refused_instead_of_asked_for(papers: Papers) -> None:
    key = papers.folder / "server.key"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(key), "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    section = load_web_config(papers.config()).tls_server_config
    assert section
    with pytest.raises(SettingsError, match="the key is encrypted"):
        tls_context(section)


def test_certificates_may_stand_in_the_file_itself(make_exporter: MakeExporter, papers: Papers) -> None:
    path = papers.folder / "inline.yml"
    texts: dict[str, Any] = {
        key: (papers.folder / name).read_text() for key, name in (("cert", "server.crt"), ("key", "server.key"))
    }
    indented = {key: text.replace("\n", "\n    ") for key, text in texts.items()}
    path.write_text("tls_server_config:\n" + "".join(f"  {key}: |\n    {text}\n" for key, text in indented.items()))
    exporter = serve(make_exporter, path, papers.client())
    assert may_connect(exporter, papers.client())
