"""A configuration that is written whole."""

from typing import Any

import pytest
import yaml

from extender.core.model.errors import ConfigError
from extender.schedulerconfig.inject import inject
from extender.schedulerconfig.read import Stanza
from extender.schedulerconfig.render import render

PLAIN = Stanza(url_prefix="http://127.0.0.1:8888/scheduler")
SECURE = Stanza(url_prefix="https://spotmix:8888/scheduler", enable_https=True, ca_data=b"PEM", server_name="a b: c")


@pytest.mark.parametrize("stanza", [PLAIN, SECURE])
def test_rendered_text_is_complete_and_needs_no_injection(stanza: Stanza) -> None:
    text = render(stanza)
    assert yaml.safe_load(text) == {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {
            "leaderElect": True,
            "resourceLock": "leases",
            "resourceName": "spotmix-scheduler",
            "resourceNamespace": "spotmix-system",
        },
        "clientConnection": {"kubeconfig": ""},
        "profiles": [{"schedulerName": "spotmix"}],
        "extenders": [stanza.entry()],
    }
    assert inject(text, stanza) is text
    assert max(map(len, text.splitlines())) <= 120


def test_everything_can_be_said() -> None:
    text = render(
        PLAIN,
        ("my-scheduler", "on", "1"),
        lease_name="l",
        lease_namespace="n",
        kubeconfig="/a b/c: d",
        percentage=100,
    )
    seen: dict[str, Any] = yaml.safe_load(text)
    assert seen["profiles"] == [{"schedulerName": name} for name in ("my-scheduler", "on", "1")]
    assert (seen["leaderElection"]["resourceName"], seen["leaderElection"]["resourceNamespace"]) == ("l", "n")
    assert seen["clientConnection"] == {"kubeconfig": "/a b/c: d"}
    assert seen["percentageOfNodesToScore"] == 100
    assert yaml.safe_load(render(PLAIN, ("my-scheduler",)))["leaderElection"]["resourceName"] == "my-scheduler"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), "no scheduler name is given"),
        (("",), "scheduler name '' is no name"),
        (("A",), "scheduler name 'A' is no name; write lower case"),
        (("a\n",), "is no name"),
        (("a", "b", "a"), "scheduler name 'a' is given twice"),
        (("default-scheduler",), "served by the cluster's own scheduler; attach Spotmix to that one by"),
    ],
)
def test_wrong_names(names: tuple[str, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        render(PLAIN, names)
    with pytest.raises(ConfigError, match="lease namespace 'N' is no name"):
        render(PLAIN, lease_namespace="N")
