"""Who may write: this machine alone, until tokens say who may from anywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from exporter_process import Exporter, free_port, wait_for

from joulemark.errors import SettingsError
from joulemark.web.tokens import load_tokens

ALICE, BOB, CAROL = ("a" * 32, "b" * 32, "c" * 32)
STAGE = {"run": "kd", "stage": "teacher"}

MakeExporter = Callable[..., Exporter]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def token_file(folder: Path, *lines: str) -> Path:
    path = folder / "tokens"
    path.write_text("# who may write\n\n" + "\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def put(exporter: Exporter, token: str | None) -> int:
    headers = {} if token is None else bearer(token)
    return exporter.http.put("/api/v1/stage", json=STAGE, headers=headers).status_code


def test_without_tokens_another_machine_may_read_but_not_write(make_exporter: MakeExporter, other_host: str) -> None:
    door = f"{other_host}:{free_port()}"
    exporter = make_exporter("--source", "replay", "--web.listen-address", door)
    address = f"http://{door}"
    assert httpx.get(f"{address}/metrics", trust_env=False).status_code == 200
    answer = httpx.put(f"{address}/api/v1/stage", json=STAGE, trust_env=False)
    assert answer.status_code == 403
    assert "this machine only" in answer.json()["detail"]
    assert "--api.token-file" in answer.json()["remedy"]
    assert exporter.http.get("/api/v1/stage").json() == []
    assert put(exporter, None) == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_does_not_make_everybody_a_local_writer(exporter: Exporter, header: str) -> None:
    answer = exporter.http.put("/api/v1/stage", json=STAGE, headers={header: "127.0.0.1"})
    assert answer.status_code == 403
    assert exporter.http.get("/api/v1/stage").json() == []


def test_with_tokens_every_writer_needs_one_and_may_be_anywhere(
    make_exporter: MakeExporter, tmp_path: Path, other_host: str
) -> None:
    tokens = token_file(tmp_path, f"alice:{ALICE}", f"bob : {BOB}")
    door = f"{other_host}:{free_port()}"
    exporter = make_exporter("--source", "replay", "--api.token-file", str(tokens), "--web.listen-address", door)
    for wrong in (None, "x", ALICE[:-1], ALICE + "a", f"alice:{ALICE}", CAROL):
        assert put(exporter, wrong) == 401, wrong
    assert exporter.http.get("/api/v1/stage").json() == []
    assert put(exporter, ALICE) == 200
    answer = httpx.put(f"http://{door}/api/v1/stage", json=STAGE, headers=bearer(BOB), trust_env=False)
    assert answer.status_code == 200
    assert httpx.put(f"http://{door}/api/v1/stage", json=STAGE, trust_env=False).status_code == 401


def test_a_refusal_for_want_of_a_token_says_how_to_send_one(make_exporter: MakeExporter, tmp_path: Path) -> None:
    exporter = make_exporter("--source", "replay", "--api.token-file", str(token_file(tmp_path, f"alice:{ALICE}")))
    answer = exporter.http.put("/api/v1/stage", json=STAGE)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="joulemark"'
    assert "JOULEMARK_TOKEN" in answer.json()["remedy"]
    assert exporter.http.get("/api/v1/stage").status_code == 200


def test_tokens_are_read_anew_when_the_file_changes(make_exporter: MakeExporter, tmp_path: Path) -> None:
    tokens = token_file(tmp_path, f"alice:{ALICE}")
    exporter = make_exporter("--source", "replay", "--api.token-file", str(tokens))
    token_file(tmp_path, f"alice:{ALICE}", f"alice:{BOB}")
    wait_for(lambda: put(exporter, BOB) == 200)
    assert put(exporter, ALICE) == 200
    token_file(tmp_path, f"alice:{BOB}")
    wait_for(lambda: put(exporter, ALICE) == 401)
    assert put(exporter, BOB) == 200


@pytest.mark.parametrize("broken", ["", "# nobody\n", "alice\n", "alice:short\n", None])
def test_a_broken_change_keeps_the_last_good_tokens(
    make_exporter: MakeExporter, tmp_path: Path, broken: str | None
) -> None:
    tokens = token_file(tmp_path, f"alice:{ALICE}")
    exporter = make_exporter("--source", "replay", "--api.token-file", str(tokens))
    if broken is None:
        tokens.unlink()
    else:
        tokens.write_text(broken)
    exporter.process.send_signal(signal.SIGHUP)
    exporter.wait_for_log("event=reload_failed")
    assert put(exporter, None) == 401
    assert put(exporter, ALICE) == 200


def test_sighup_reads_a_file_that_looks_unchanged(make_exporter: MakeExporter, tmp_path: Path) -> None:
    tokens = token_file(tmp_path, f"alice:{ALICE}")
    exporter = make_exporter("--source", "replay", "--api.token-file", str(tokens))
    before = tokens.stat()
    with tokens.open("r+") as file:
        file.write(tokens.read_text().replace(ALICE, BOB))
    os.utime(tokens, ns=(before.st_atime_ns, before.st_mtime_ns))
    exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: put(exporter, BOB) == 200)
    assert put(exporter, ALICE) == 401


def test_no_token_is_ever_in_the_log_or_in_an_answer(make_exporter: MakeExporter, tmp_path: Path) -> None:
    tokens = token_file(tmp_path, f"alice:{ALICE}")
    exporter = make_exporter("--source", "replay", "--log.level", "debug", "--api.token-file", str(tokens))
    guess = "guess-" + "z" * 20
    answers = [exporter.http.put("/api/v1/stage", json=STAGE, headers=bearer(token)).text for token in (ALICE, guess)]
    tokens.write_text(f"alice {ALICE}\n")
    exporter.process.send_signal(signal.SIGHUP)
    exporter.wait_for_log("event=reload_failed")
    log = exporter.stop_and_read_log()
    assert "event=refused status=401" in log
    for text in (*answers, log):
        assert ALICE not in text
        assert guess not in text


def test_a_token_file_open_to_others_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = token_file(tmp_path, f"alice:{ALICE}")
    load_tokens(tokens)
    assert caplog.text == ""
    tokens.chmod(0o604)
    load_tokens(tokens)
    assert f"chmod 600 {tokens}" in caplog.text
    assert ALICE not in caplog.text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("alice", "line 3: not NAME:TOKEN"),
        ("alice:" + "é" * 20, "line 3: not NAME:TOKEN"),
        ("al ice:" + "x" * 20, "line 3: not NAME:TOKEN"),
        ("alice:" + "x" * 15, "16 to 512"),
        ("alice:" + "x" * 513, "16 to 512"),
        ("", "no token"),
    ],
)
def test_a_bad_token_file_is_refused_at_the_start_by_line(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        load_tokens(token_file(tmp_path, line))
    assert "xxxx" not in str(refused.value)


def test_a_missing_token_file_ends_the_start_before_the_ledger_is_touched(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=r"token file .*nowhere cannot be read"):
        make_exporter("--source", "replay", "--api.token-file", str(tmp_path / "nowhere"))
    assert not (tmp_path / "state").exists()
