"""Whose a process is, from control groups as Docker, containerd, Podman, Slurm and systemd make them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joulemark.processes.owner import NOBODY, UNSEEN, owner_in, owner_of

ID = "3f" * 32
POD = "kubepods-besteffort-pod4d1f2c2a_7b7e_4b0a_9d59_1f3c5f0e7a11.slice"


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (f"/docker/{ID}", ("container", ID)),
        (f"/system.slice/docker-{ID}.scope", ("container", ID)),
        (f"/kubepods.slice/kubepods-besteffort.slice/{POD}/cri-containerd-{ID}.scope", ("container", ID)),
        (f"/kubepods/burstable/pod4d1f2c2a-7b7e-4b0a-9d59-1f3c5f0e7a11/{ID}", ("container", ID)),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container", ("container", ID)),
        (f"/machine.slice/crio-{ID}.scope", ("container", ID)),
        ("/slurm/uid_1000/job_4711/step_0/task_0", ("slurm", "4711")),
        ("/slurm_node7/uid_1000/job_4711/step_batch", ("slurm", "4711")),
        ("/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0", ("slurm", "4711")),
        ("/system.slice/node7_slurmstepd.scope/job_4711/step_0", ("slurm", "4711")),
        (f"/system.slice/slurmstepd.scope/job_4711/step_0/docker-{ID}.scope", ("slurm", "4711")),
        ("/system.slice/train.service", ("systemd", "train.service")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/run-u7.service", ("systemd", "run-u7.service")),
        ("/user.slice/user-1000.slice/session-3.scope", ("systemd", "session-3.scope")),
        ("/", ("none", "")),
        ("/job_4711/x", ("none", "")),
        ("/" + "f" * 65, ("none", "")),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_owners_as_they_are_found(path: str, owner: tuple[str, str], version: int) -> None:
    lines = [f"0::{path}"] if version == 2 else ["12:cpuset:/", f"5:devices:{path}", f"1:name=systemd:{path}", "0::/"]
    assert owner_in("\n".join(lines) + "\n") == owner


def test_a_process_that_cannot_be_seen_is_said_to_be_so(tmp_path: Path) -> None:
    assert owner_of(4711, tmp_path) == UNSEEN
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "cgroup").write_text("0::/system.slice/train.service\n")
    assert owner_of(12, tmp_path) == ("systemd", "train.service")


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_names_stay_short(text: str) -> None:
    owner = owner_in(text)
    assert owner == NOBODY or 0 < len(owner.name) <= 140
