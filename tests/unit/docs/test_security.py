"""SECURITY.md lists each right and each port that there is."""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from programs import ROOT

from extender.settings.sections import Settings

PAGE = (ROOT / "SECURITY.md").read_text()


def rules() -> Iterator[dict[str, Any]]:
    """The rules of Spotmix's own roles."""
    for document in yaml.safe_load_all((ROOT / "deploy" / "manifests" / "spotmix.yaml").read_text()):
        if document["kind"] in ("ClusterRole", "Role") and document["metadata"]["name"] == "spotmix":
            yield from document["rules"]


def granted() -> set[tuple[str, str]]:
    """Verb and resource of each rule."""
    return {(verb, resource) for rule in rules() for verb in rule["verbs"] for resource in rule["resources"]}


WORDS = {
    "leases": "Lease",
    "secrets": "Secret",
    "mutatingwebhookconfigurations": "webhook configurations",
    "validatingwebhookconfigurations": "webhook configurations",
}


def listed(verb: str, resource: str) -> bool:
    rows = re.findall(r"^\| ((?:create|delete|get|list|patch|watch)[^|]*) \|", PAGE, re.MULTILINE)
    parts = [part for row in rows for part in row.split(";")]
    named = {resource, WORDS.get(resource, resource)}
    if resource == "configmaps":
        named.add("ConfigMap")
    return any(
        verb in part.partition(":")[0].replace(" ", "").split(",")
        and any(re.search(rf"(?<![\w/]){re.escape(name)}(?![\w/])", part.partition(":")[2]) for name in named)
        for part in parts
    )


def test_every_right_of_the_chart_is_listed() -> None:
    assert len(granted()) > 30
    assert sorted(each for each in granted() if not listed(*each)) == []
    assert not listed("delete", "nodes")
    assert not listed("list", "secrets")


def test_every_port_is_listed() -> None:
    settings = Settings()
    servers = (settings.extender, settings.metrics, settings.api, settings.expander, settings.webhook)
    ports = {server.addr.rpartition(":")[2] for server in servers}
    assert set(re.findall(r"^\| (\d{4}) \|", PAGE, re.MULTILINE)) == ports
