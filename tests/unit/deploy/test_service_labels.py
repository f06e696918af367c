"""Commands find the service that the chart installs."""

from typing import Any

import yaml
from programs import ROOT

from extender.kube.servicepod import HOME, PORT, SELECTOR

MANIFESTS = ROOT / "deploy" / "manifests" / "spotmix.yaml"


def pods() -> list[dict[str, Any]]:
    """What Deployments make."""
    documents = yaml.safe_load_all(MANIFESTS.read_text())
    return [
        {**each["spec"]["template"], "namespace": each["metadata"]["namespace"]}
        for each in documents
        if each and each["kind"] == "Deployment"
    ]


def test_the_servers_pods_and_no_others_are_selected() -> None:
    wanted = dict(pair.split("=") for pair in SELECTOR.split(","))
    chosen = [pod for pod in pods() if wanted.items() <= pod["metadata"]["labels"].items()]
    assert len(pods()) > 1
    assert [pod["namespace"] for pod in chosen] == [HOME]
    ports = [port for container in chosen[0]["spec"]["containers"] for port in container["ports"]]
    assert [port["containerPort"] for port in ports if port["name"] == PORT] == [9444]
