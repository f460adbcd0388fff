"""Which devices a container holds: its label, its device requests, NVIDIA_VISIBLE_DEVICES, else all."""

from __future__ import annotations

from typing import Any

import pytest

from joulemark.containers.container import Container
from joulemark.containers.given_devices import given_devices
from joulemark.errors import InvalidField

UUIDS = {"gpu0": "GPU-aaaa", "gpu1": "GPU-bbbb", "gpu10": "GPU-cccc"}
KNOWN = {**UUIDS, "cpu0": "cpu-package-0"}
GPU = [["gpu"]]


def inspected(labels: dict[str, str] | None = None, env: list[str] | None = None, requests: Any = None) -> Container:
    facts = {
        "Id": "f" * 64,
        "State": {"Running": True},
        "Config": {"Labels": labels, "Env": env},
        "HostConfig": {"DeviceRequests": requests},
    }
    return Container.inspected(facts)


def request(count: int = 0, ids: list[str] | None = None, driver: str = "") -> list[dict[str, Any]]:
    return [{"Driver": driver, "Count": count, "DeviceIDs": ids, "Capabilities": None if driver == "cdi" else GPU}]


@pytest.mark.parametrize(
    ("container", "devices"),
    [
        (inspected(), None),
        (inspected(requests=request(-1)), None),
        (inspected(requests=request(3)), None),
        (inspected(requests=request(1)), ["gpu0"]),
        (inspected(requests=request(2)), ["gpu0", "gpu1"]),
        (inspected(requests=request(ids=["1"])), ["gpu1"]),
        (inspected(requests=request(ids=["10"])), ["gpu10"]),
        (inspected(requests=request(ids=["GPU-bb"])), ["gpu1"]),
        (inspected(requests=request(ids=["0", "GPU-aaaa"])), ["gpu0"]),
        (inspected(requests=request(ids=["nvidia.com/gpu=1"], driver="cdi")), ["gpu1"]),
        (inspected(requests=request(ids=["nvidia.com/gpu=all"], driver="cdi")), None),
        (inspected(requests=request(ids=["vendor.com/nic=1"], driver="cdi")), None),
        (inspected(requests=[{"Driver": "", "Count": 1, "Capabilities": [["tpu"]]}]), None),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES=all"]), None),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES=0, 1"]), ["gpu0", "gpu1"]),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES=1"]), ["gpu1"]),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES=GPU-cccc"]), ["gpu10"]),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES=void"]), ["cpu0"]),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES="]), ["cpu0"]),
        (inspected(env=["NVIDIA_VISIBLE_DEVICES=1"], requests=request(ids=["0"])), ["gpu0"]),
        (inspected({"joulemark.devices": "gpu1, cpu0"}, requests=request(ids=["0"])), ["gpu1", "cpu0"]),
        (inspected({"joulemark.devices": "GPU-bbbb"}), ["gpu1"]),
    ],
)
def test_a_container_holds_what_it_was_given(container: Container, devices: list[str] | None) -> None:
    assert given_devices(container, KNOWN) == devices


def test_where_no_gpu_is_read_a_container_holds_all_there_is() -> None:
    assert given_devices(inspected(requests=request(ids=["1"])), {"cpu0": "cpu"}) is None


@pytest.mark.parametrize(
    "container",
    [
        inspected(env=["NVIDIA_VISIBLE_DEVICES=MIG-7f3a"]),
        inspected(env=["NVIDIA_VISIBLE_DEVICES=0:1"]),
        inspected(requests=request(ids=["GPU-dddd"])),
        inspected({"joulemark.devices": " , "}),
    ],
)
def test_what_is_no_device_here_is_refused_with_a_remedy(container: Container) -> None:
    with pytest.raises(InvalidField) as refused:
        given_devices(container, KNOWN)
    assert "joulemark.devices" in refused.value.remedy


def test_no_gpu_and_nothing_else_is_nothing_to_book() -> None:
    with pytest.raises(InvalidField, match="given no GPU"):
        given_devices(inspected(env=["NVIDIA_VISIBLE_DEVICES=none"]), UUIDS)
