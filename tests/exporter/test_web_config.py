"""The web configuration file of Prometheus' exporters: same keys, same meaning, and no key ignored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bcrypt
import httpx
import pytest
from exporter_process import Exporter, wait_for

from joulemark.errors import SettingsError
from joulemark.web.config_file import RateSection, load_web_config
from joulemark.web.rate_limit import Bucket

PASSWORD = "correct horse battery staple"
STAGE = {"run": "kd", "stage": "teacher"}
TOKEN = "t" * 32

MakeExporter = Callable[..., Exporter]


def hashed(password: str) -> str:
    # htpasswd writes $2y$, which is the same as $2b$.
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


def web_config(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("- a", "is empty"),
        ("tls_server_config: {cert_file: a, key_file: b, colour: 1}", "tls_server_config.colour: there is no such key"),
        ("tls: {}", "tls: there is no such key"),
        ("tls_server_config: {min_version: TLS12}", r"cert_file \(or cert\) is missing"),
        ("tls_server_config: {cert_file: a}", r"key_file \(or key\) is missing"),
        ("tls_server_config: {cert_file: a, cert: b, key_file: c}", "cert_file or cert, not both"),
        ("http_server_config: {http2: true}", "HTTP/2 is not served"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "X-Frame-Options"),
        ("http_server_config: {headers: {X-Other: a}}", "headers.X-Other: there is no such key"),
        ('http_server_config: {headers: {Content-Security-Policy: "a\\r\\nB: c"}}', "Content-Security-Policy"),
        ("basic_auth_users: {alice: secret}", "basic_auth_users.alice: it is not a bcrypt hash"),
        ("basic_auth_users: {alice: 1}", "basic_auth_users.alice"),
        ("rate_limit: {interval: often, burst: 1}", "rate_limit.interval: write a duration"),
        ("rate_limit: {interval: 1s}", "burst must be 1 or more"),
        ("basic_auth_users: {}\nbasic_auth_users: {}", "'basic_auth_users' is there twice"),
        ("basic_auth_users: {alice: secret", "line 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_key_and_never_by_value(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        load_web_config(web_config(tmp_path, text))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1.0), ("100ms", 0.1), ("1m30s", 90.0), ("0", 0.0), ("1.5h", 5400.0), ("500us", 5e-4)]
)
def test_durations_are_read_as_prometheus_writes_them(tmp_path: Path, text: str, seconds: float) -> None:
    config = load_web_config(web_config(tmp_path, f"rate_limit: {{interval: {text}, burst: 5}}"))
    assert config.rate_limit.interval == pytest.approx(seconds)


def test_with_users_nobody_else_may_even_read(make_exporter: MakeExporter, tmp_path: Path) -> None:
    config = web_config(tmp_path, f"basic_auth_users:\n  alice: {hashed(PASSWORD)}\n")
    client = {"auth": ("alice", PASSWORD)}
    exporter = make_exporter("--source", "replay", "--web.config.file", str(config), client=client)
    for path in ("/", "/metrics", "/api/v1/stage", "/-/healthy", "/openapi.json", "/nowhere"):
        for auth in (None, ("alice", "wrong"), ("bob", PASSWORD), ("alice", "")):
            answer = httpx.get(f"{exporter.url}{path}", auth=auth, trust_env=False)
            assert answer.status_code == 401, (path, auth)
            assert answer.headers["www-authenticate"] == 'Basic realm="joulemark"'
            assert PASSWORD not in answer.text
    for header in ("Basic", "Basic !", "Basic YWxpY2U=", "Digest x", "Bearer " + TOKEN):
        answer = httpx.get(f"{exporter.url}/metrics", headers={"Authorization": header}, trust_env=False)
        assert answer.status_code == 401, header
    assert exporter.http.get("/metrics").status_code == 200
    assert exporter.http.put("/api/v1/stage", json=STAGE).status_code == 200


def test_a_token_opens_reads_too_but_a_password_does_not_open_writes(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    config = web_config(tmp_path, f"basic_auth_users:\n  alice: {hashed(PASSWORD)}\n")
    tokens = tmp_path / "tokens"
    tokens.write_text(f"trainer:{TOKEN}\n")
    options = ("--web.config.file", str(config), "--api.token-file", str(tokens))
    exporter = make_exporter("--source", "replay", *options, client={"auth": ("alice", PASSWORD)})
    assert exporter.http.get("/metrics").status_code == 200
    answer = exporter.http.put("/api/v1/stage", json=STAGE)
    assert answer.status_code == 401
    assert "Bearer" in answer.json()["remedy"]
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as trainer:
        assert trainer.put(f"{exporter.url}/api/v1/stage", json=STAGE).status_code == 200
        assert trainer.get(f"{exporter.url}/metrics").status_code == 200


def test_users_change_without_a_restart_but_are_never_taken_away_as_a_whole(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    config = web_config(tmp_path, f"basic_auth_users:\n  alice: {hashed(PASSWORD)}\n")
    client = {"auth": ("alice", PASSWORD)}
    exporter = make_exporter("--source", "replay", "--web.config.file", str(config), client=client)

    def status(password: str | None) -> int:
        auth = None if password is None else ("alice", password)
        return httpx.get(f"{exporter.url}/metrics", auth=auth, trust_env=False).status_code

    config.write_text(f"basic_auth_users:\n  alice: {hashed('another')}\n")
    wait_for(lambda: status("another") == 200)
    assert status(PASSWORD) == 401
    for number, broken in enumerate(
        ("", "basic_auth_users: {}\n", "rate_limit: {interval: 0}\n", "basic_auth_users: {a"), 1
    ):
        config.write_text(broken)
        exporter.wait_for_log("event=reload_failed", number)
        assert status(None) == 401, broken
        assert status("another") == 200, broken
    log = exporter.stop_and_read_log()
    assert "restart to serve everybody" in log
    assert "$2y$" not in log


def test_headers_of_the_file_replace_ours(make_exporter: MakeExporter, tmp_path: Path) -> None:
    text = "http_server_config:\n  headers: {X-Frame-Options: sameorigin, Strict-Transport-Security: max-age=60}\n"
    config = web_config(tmp_path, text)
    exporter = make_exporter("--source", "replay", "--web.config.file", str(config))
    headers = exporter.http.get("/metrics").headers
    assert headers.get_list("x-frame-options") == ["sameorigin"]
    assert headers["strict-transport-security"] == "max-age=60"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_the_rate_limit_answers_429_and_says_when_to_come_again(make_exporter: MakeExporter, tmp_path: Path) -> None:
    config = web_config(tmp_path, "rate_limit: {interval: 1h, burst: 30}\n")
    exporter = make_exporter("--source", "replay", "--web.config.file", str(config))
    answers = [exporter.http.get("/-/healthy") for _ in range(31)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"]
    assert answers[-1].json()["remedy"].startswith("try again in")


def test_the_bucket_lets_a_burst_through_and_then_one_each_interval() -> None:
    now = 0.0
    bucket = Bucket(RateSection(interval="100ms", burst=3), now=lambda: now)  # type: ignore[arg-type]
    assert [bucket.wait_seconds() for _ in range(3)] == [0.0] * 3
    assert bucket.wait_seconds() == pytest.approx(0.1)
    now = 0.05
    assert bucket.wait_seconds() == pytest.approx(0.05)
    now = 0.11
    assert bucket.wait_seconds() == 0.0
    assert bucket.wait_seconds() > 0.0
    now = 100.0
    assert [bool(bucket.wait_seconds()) for _ in range(4)] == [False, False, False, True]
