"""The manifests against the schemas of Kubernetes and of the Prometheus Operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


@pytest.mark.parametrize("version", ["1.29", "1.33"])
@pytest.mark.parametrize("name", ["joulemark.yaml", "job.yaml"])
def test_manifests_are_what_kubernetes_takes(name: str, version: str) -> None:
    for manifest in manifests(name):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_field_would_be_seen() -> None:
    manifest = manifests("joulemark.yaml")[0]
    manifest["spec"]["template"]["spec"]["hostNetwrk"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.33", strict=True)


def test_the_monitor_is_what_the_operator_takes_and_finds_the_pods() -> None:
    models = pytest.importorskip("cloudcoil.models.prometheus_operator.v1")
    [manifest] = manifests("podmonitor.yaml")
    read = models.PodMonitor.model_validate(manifest)
    # The models pass over what they do not know: it would be missing here.
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True)["spec"] == manifest["spec"]
    daemons, service = manifests("joulemark.yaml")
    labels = daemons["spec"]["template"]["metadata"]["labels"]
    for selector in (manifest["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
    [container] = daemons["spec"]["template"]["spec"]["containers"]
    assert "http" in {port["name"] for port in container["ports"]}


def test_jobs_find_the_exporter_at_the_port_that_it_has_on_the_node() -> None:
    [container] = manifests("joulemark.yaml")[0]["spec"]["template"]["spec"]["containers"]
    [job] = manifests("job.yaml")[0]["spec"]["template"]["spec"]["containers"]
    url = next(entry["value"] for entry in job["env"] if entry["name"] == "JOULEMARK_URL")
    assert url == f"http://$(NODE_ADDRESS):{container['ports'][0]['hostPort']}"
