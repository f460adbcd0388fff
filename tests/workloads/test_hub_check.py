"""What of a hub cannot be had is said before anything runs: all of it, with who asks for it; what is cached can."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pytest
from datasets.arrow_writer import ArrowWriter
from exporter_process import Exporter, free_port
from fake_hub import MODEL, Hub

from joulemark_workloads.config import Cell, cells_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.evaluation.data_sets import data_sets_of
from joulemark_workloads.hub.cache import is_cached
from joulemark_workloads.hub.reach import refusals
from joulemark_workloads.hub.thing import Repository, Thing
from joulemark_workloads.sweep.hub_check import check_hub
from joulemark_workloads.sweep.runner import Options, run_cells

ON_THE_HUB = (
    f"teacher={{model: {MODEL}, revision: v1, parameters_billion: 1}}",
    "student={layers: null, model: somebody/tiny-student, parameters_billion: 1}",
    "data.source=somebody/texts:part",
    "evaluation.tasks=[facts, gsm8k, mmlu]",
)
LOOPBACK = "127.0.0.1"


def start(config: Path, work: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with nothing of this machine's caches."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    kept |= {"HTTP_PROXY": "", "HTTPS_PROXY": "", "NO_PROXY": "*"}
    settings = [word for setting in ON_THE_HUB for word in ("--set", setting)]
    command = [sys.executable, "-m", "joulemark_workloads", str(config), "--work-dir", str(work), *settings, *options]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False, timeout=180)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a hub that takes every connection and says nothing."""
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen(64)
        yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"


class Refusing(BaseHTTPRequestHandler):
    """A hub that has nothing for nobody; it keeps what it was asked for and with which rights."""

    code: ClassVar[str] = "RepoNotFound"
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_HEAD(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(404 if self.code.endswith("NotFound") else 403)
        self.send_header("X-Error-Code", self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def refusing(hub: ThreadingHTTPServer, asked: str) -> Iterator[type[Refusing]]:
    """The hub that this process asks, refusing."""
    Refusing.code, Refusing.asked = "RepoNotFound", []
    hub.RequestHandlerClass = Refusing
    hub.server_activate()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    yield Refusing
    hub.shutdown()


def test_all_that_cannot_be_had_is_named_before_a_joule_is_spent(
    make_exporter: Callable[..., Exporter], experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    exporter, hub = make_exporter("--source", "cpu_model"), f"http://{LOOPBACK}:{free_port()}"
    config, work = experiment_file("kd", "sft"), tmp_path / "work"
    planned = start(config, work, "--plan", HF_ENDPOINT=hub)
    assert planned.returncode == 0, planned.stderr
    ended = start(config, work, "--url", exporter.url, HF_ENDPOINT=hub)
    assert ended.returncode == 2, ended.stderr
    said = ended.stderr.splitlines()
    for line in (
        f"- model {MODEL}@v1 (teacher.model; for data, teacher, student, eval): ",
        "- model somebody/tiny-student (student.model; for data, student, eval): ",
        "- data set somebody/texts (data.source; for data): ",
        "- data set openai/gsm8k (evaluation.tasks: gsm8k; for eval): ",
        "- data set cais/mmlu (evaluation.tasks: mmlu; for eval): ",
    ):
        assert sum(one.startswith(line) and "Connection refused" in one for one in said) == 1, ended.stderr
    assert sum(line.startswith(("- model", "- data set")) for line in said) == 5
    assert (
        f"into HF_HOME={work / 'huggingface'}, and bring it here:\n    hf download {MODEL} --revision v1\n"
        in ended.stderr
    )
    assert "    hf download somebody/tiny-student\n" in ended.stderr
    assert "load_dataset('somebody/texts', 'part')" in ended.stderr
    assert "TaskManager().load(['gsm8k', 'mmlu'])" in ended.stderr
    assert "use the shipped arithmetic, facts, instructions" in ended.stderr
    assert f"{work / 'huggingface' / 'hub'} and {work / 'huggingface' / 'datasets'}, hub {hub}" in ended.stderr
    assert exporter.http.get("/api/v1/runs").json() == []
    assert not (work / "runs").exists()


def test_a_phase_apart_asks_for_its_own_and_a_silent_hub_holds_up_nobody(
    experiment_file: Callable[..., Path], tmp_path: Path, silent: str
) -> None:
    ended = start(experiment_file("kd"), tmp_path / "work", "--phase", "data", HF_ENDPOINT=silent)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("no answer in 5 s") == 3
    assert "gsm8k" not in ended.stderr


def test_the_wait_for_a_silent_hub_is_bounded_in_all(asked: str, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", silent)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", silent + "/{repo_id}/resolve/{revision}/{filename}"
    )
    repositories = [Repository("dataset", f"somebody/set{number}") for number in range(40)]
    began = time.monotonic()
    assert len(refusals(repositories)) == 40
    assert time.monotonic() - began < 7
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 1)
    began = time.monotonic()
    assert set(refusals(repositories).values()) == {"no answer in 1 s (HF_HUB_ETAG_TIMEOUT sets how long is waited)"}
    assert time.monotonic() - began < 3


def test_a_refusal_is_told_as_what_it_is(refusing: type[Refusing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    model, own = Repository("model", "a/b", "v2"), Repository("dataset", "a/c", with_token=False)
    assert refusals([model, own, model]) == {
        model: "not there, or private: log in with 'hf auth login' or HF_TOKEN",
        own: "not there, or private: it is read without a login",
    }
    assert dict(refusing.asked) == {
        "/a/b/resolve/v2/config.json": "Bearer hf_secret",
        "/datasets/a/c/resolve/main/README.md": None,
    }
    refusing.code = "GatedRepo"
    assert refusals([model])[model].startswith("gated: log in")
    refusing.code = "RevisionNotFound"
    assert refusals([model]) == {model: "has no revision v2"}
    refusing.code = "EntryNotFound"
    # A data set without a page of its own is one all the same.
    assert refusals([model, own]) == {model: "has no config.json"}
    folder = Repository("model", "../no/such/folder")
    assert refusals([folder]) == {folder: "no folder here, and no name that a hub can have"}


def test_offline_nothing_is_asked(refusing: type[Refusing], monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = Repository("model", "a/b"), Repository("dataset", "a/c")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert refusals([rows]) == {rows: "HF_DATASETS_OFFLINE is set"}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert set(refusals([model, rows])) == {model, rows}
    assert refusing.asked == []


def prepared(cache: Path, subset: str) -> None:
    """Rows of gsm8k as `load_dataset` leaves them in its cache."""
    folder = cache / "openai___gsm8k" / subset / "0.0.0" / "0123"
    folder.mkdir(parents=True)
    writer = ArrowWriter(path=str(folder / "gsm8k-test.arrow"))
    writer.write({"question": "1 + 1?", "answer": "#### 2"})
    writer.finalize()
    split = datasets.SplitInfo("test", num_examples=1, dataset_name="gsm8k")
    features = datasets.Features({"question": datasets.Value("string"), "answer": datasets.Value("string")})
    splits = datasets.SplitDict({"test": split}, dataset_name="gsm8k")
    info = datasets.DatasetInfo(
        features=features,
        splits=splits,
        builder_name="parquet",
        dataset_name="gsm8k",
        config_name=subset,
        version="0.0.0",
    )
    info.write_to_directory(str(folder))


def test_a_benchmarks_rows_in_the_cache_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (wanted,) = data_sets_of("gsm8k")
    prepared(tmp_path, "socratic")
    assert not is_cached(wanted)
    prepared(tmp_path, "main")
    assert is_cached(wanted)
    # And what is said to be at hand does load.
    rows = datasets.load_dataset("openai/gsm8k", "main")
    assert rows["test"][0]["answer"] == "#### 2"


def test_the_data_sets_of_benchmarks_are_those_of_their_configuration() -> None:
    assert data_sets_of("ifeval") == (Thing(Repository("dataset", "google/IFEval")),)
    # A group of groups of tasks, one subset each; and a tag.
    assert len(data_sets_of("mmlu")) == 57
    assert {thing.repository.name for thing in data_sets_of("mmlu")} == {"cais/mmlu"}
    assert {thing.subset for thing in data_sets_of("ai2_arc")} == {"ARC-Easy", "ARC-Challenge"}
    with pytest.raises(WorkloadError, match="'no-such' is not known"):
        data_sets_of("no-such")


def test_what_is_in_the_cache_or_made_already_needs_no_hub(
    make_exporter: Callable[..., Exporter],
    experiment_file: Callable[..., Path],
    tmp_path: Path,
    hub: ThreadingHTTPServer,
    asked: str,
) -> None:
    exporter, work = make_exporter("--source", "cpu_model"), tmp_path / "work"
    cells = cells_of(read_document(experiment_file("kd"), [f"teacher.model={MODEL}"]))

    def run(tag: str, *phases: str) -> None:
        run_cells(cells, Options(work, tag, url=exporter.url, phases=phases or Options.phases, tables=False))

    with pytest.raises(WorkloadError, match=rf"nothing was started(.|\n)*model {MODEL} \(teacher\.model; for data, "):
        run("a")
    assert exporter.http.get("/api/v1/runs").json() == []
    hub.server_activate()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    run("a")
    run("b", "data")
    hub.shutdown()
    hub.server_close()
    Hub.lost = (".json", ".safetensors")
    # A run of another name, without the hub: from the cache.
    run("c", "data")
    for weights in (tmp_path / "hub").rglob("*.safetensors"):
        weights.unlink()
    name = cells[0].run_name("b")
    # The logits are there, and so are the scores of teacher and untrained student.
    for phases in (["teacher"], ["eval"]):
        check_hub([(cells[0], name)], phases, work, exporter.url)
    with pytest.raises(WorkloadError, match=rf"model {MODEL} \(teacher\.model; for student\): .*refused"):
        check_hub([(cells[0], name)], ["teacher", "student", "eval"], work, exporter.url)


def test_nothing_is_looked_at_where_all_is_local(
    experiment_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells: list[Cell] = cells_of(read_document(experiment_file("kd"), ["evaluation.tasks=[facts]"]))
    monkeypatch.setattr("joulemark_workloads.sweep.hub_check.Record", None)
    check_hub([(cell, cell.run_name("t")) for cell in cells], Options.phases, tmp_path, None)
