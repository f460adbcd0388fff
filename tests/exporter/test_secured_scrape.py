"""A real Prometheus scrapes an exporter behind TLS, client certificates and basic auth, with its own keys for them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import pytest
import trustme
from exporter_process import Exporter
from live_prometheus import LivePrometheus

PASSWORD = "correct horse"


@pytest.mark.prometheus
def test_prometheus_gets_in_with_its_certificate_and_password_and_not_without(
    make_exporter: Callable[..., Exporter], tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, names in (("server", ("127.0.0.1",)), ("prometheus", ("prometheus.example.org",))):
        issued = authority.issue_cert(*names)
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.pem, "
        "client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [prometheus.example.org]}\n"
        f"basic_auth_users: {{prometheus: '{hashed}'}}\n"
    )
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    context.load_cert_chain(tmp_path / "prometheus.crt", tmp_path / "prometheus.key")
    client = {"verify": context, "auth": ("prometheus", PASSWORD)}
    exporter = make_exporter("--source", "replay", "--web.config.file", str(tmp_path / "web.yml"), client=client)
    exporter.put_stage("kd", "teacher")
    tls = {"ca_file": str(tmp_path / "ca.pem")}
    papers = {"cert_file": str(tmp_path / "prometheus.crt"), "key_file": str(tmp_path / "prometheus.key")}
    login = {"username": "prometheus", "password": PASSWORD}
    target = f"127.0.0.1:{exporter.port}"
    with ExitStack() as running:

        def scraped(name: str, **scrape: object) -> LivePrometheus:
            scrape = {"scheme": "https", **scrape}
            live = LivePrometheus(tmp_path / name, [("joulemark", target)], rules=(), scrape=scrape)
            running.callback(live.stop)
            return live

        known = scraped("known", tls_config={**tls, **papers}, basic_auth=login)
        nameless = scraped("nameless", tls_config=tls, basic_auth=login)
        guessing = scraped("guessing", tls_config={**tls, **papers}, basic_auth={**login, "password": "wrong"})
        known.wait_for('up{job="joulemark"}', 1)
        known.wait_for('joulemark_stage_active{run="kd",stage="teacher"}', 1)
        for refused in (nameless, guessing):
            refused.wait_for('up{job="joulemark"}', 0)
