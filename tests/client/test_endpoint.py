"""Where the exporter is and how the client is let in: addresses, tokens, certificates."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from fake_exporter import FakeExporter

import joulemark

VARIABLES = ("URL", "TOKEN", "TOKEN_FILE", "CA_FILE", "CERT_FILE", "RUN")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"JOULEMARK_{name}", raising=False)


class Papers:
    """An authority of its own and the files that it signed."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.authority_file = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.authority_file))
        self.client_file = folder / "client.pem"
        self.authority.issue_cert("trainer").private_key_and_cert_chain_pem.write_to_path(str(self.client_file))


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """The test's own authority."""
    return Papers(tmp_path)


@pytest.fixture
def context(papers: Papers) -> ssl.SSLContext:
    """What the fake exporter shows and asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    papers.authority.issue_cert("127.0.0.1").configure_cert(context)
    papers.authority.configure_trust(context)
    return context


@pytest.fixture
def https(context: ssl.SSLContext) -> Iterator[FakeExporter]:
    """A fake exporter behind TLS."""

    def wrap(connection: socket.socket) -> socket.socket:
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    exporter = FakeExporter(wrap=wrap)
    exporter.url = f"https://127.0.0.1:{exporter.port}"
    yield exporter
    exporter.close()


def book(fake: FakeExporter) -> None:
    """A strict run that books one stage with whatever the environment says."""
    with joulemark.run("kd-1", strict=True) as run, run.stage("data"):
        pass
    assert [window["state"] for window in fake.windows.values()] == ["ended"]


def test_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeExporter(socket.AF_UNIX, str(tmp_path / "joulemark.sock"))
    monkeypatch.setenv("JOULEMARK_URL", f"unix://{tmp_path}/joulemark.sock")
    book(fake)
    fake.close()


def test_https_with_its_own_authority(https: FakeExporter, papers: Papers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEMARK_URL", https.url)
    with pytest.raises(joulemark.ClientError, match="certificate verify failed"):
        joulemark.run("kd-1", strict=True)
    monkeypatch.setenv("JOULEMARK_CA_FILE", str(papers.authority_file))
    book(https)


def test_an_exporter_that_asks_for_a_certificate(
    https: FakeExporter, context: ssl.SSLContext, papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setenv("JOULEMARK_URL", https.url)
    monkeypatch.setenv("JOULEMARK_CA_FILE", str(papers.authority_file))
    with pytest.raises(joulemark.ClientError, match="no exporter at"):
        joulemark.run("kd-1", strict=True)
    monkeypatch.setenv("JOULEMARK_CERT_FILE", str(papers.client_file))
    book(https)


def test_a_token_and_a_token_file_that_changes(
    fake: FakeExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOULEMARK_URL", fake.url)
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("JOULEMARK_TOKEN_FILE", str(file))
    with joulemark.run("kd-1", strict=True) as run:
        assert fake.headers[-1]["authorization"] == "Bearer first"
        file.write_text("second\n")
        run.declare(seed=1)
        assert fake.headers[-1]["authorization"] == "Bearer second"
    monkeypatch.setenv("JOULEMARK_TOKEN", "named")
    book(fake)
    assert fake.headers[-1]["authorization"] == "Bearer named"


def test_a_user_and_password_in_the_url_are_sent_and_never_shown(fake: FakeExporter) -> None:
    url = fake.url.replace("http://", "http://ann:p%40ss@")
    with joulemark.run("kd-1", url=url, strict=True) as run:
        assert base64.b64decode(fake.headers[-1]["authorization"].removeprefix("Basic ")) == b"ann:p@ss"
        fake.behave = "hang up"
        with pytest.raises(joulemark.ClientError) as raised:
            run.declare(seed=1)
        assert "p%40ss" not in str(raised.value)
        fake.behave = "well"


@pytest.mark.parametrize("url", ["localhost:9871", "ftp://host", "http://", "unix://", "http://host:port", "nonsense"])
def test_an_address_that_is_none_is_named_and_ends_no_job(url: str) -> None:
    with pytest.raises(joulemark.ClientError, match="is no address of an exporter"):
        joulemark.run("kd-1", url=url, strict=True)
    with pytest.warns(RuntimeWarning, match="is no address of an exporter"), joulemark.run("kd-1", url=url):
        pass


@pytest.mark.parametrize("variable", ["TOKEN_FILE", "CA_FILE", "CERT_FILE"])
def test_a_file_that_is_not_there_is_named(variable: str, https: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"JOULEMARK_{variable}", "/nonexistent/file")
    with pytest.raises(joulemark.ClientError, match=variable):
        joulemark.run("kd-1", url=https.url, strict=True)


def test_the_run_s_name_may_come_from_the_environment(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(joulemark.JoulemarkError, match="the run has no name"):
        joulemark.run(url=fake.url)
    monkeypatch.setenv("JOULEMARK_RUN", "from-outside")
    with joulemark.run(url=fake.url) as run:
        assert run.name == "from-outside"


def test_a_proxy_of_the_job_is_not_used(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("JOULEMARK_URL", fake.url)
    book(fake)
