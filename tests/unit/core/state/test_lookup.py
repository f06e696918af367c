"""Workloads found by kind and name, as people write them."""

import pytest
from support.doubles import World, make_owner, make_pod

from extender.core.state.lookup import find_owner, find_pod, kind_named, namespaces_with


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("deploy", ("deployment", "")),
        ("Deployments", ("deployment", "")),
        ("sts", ("statefulset", "")),
        ("deployment.apps", ("deployment", "apps")),
        ("rollouts.argoproj.io", ("rollout", "argoproj.io")),
        ("po", ("pod", "")),
        ("pods", ("pod", "")),
        ("cj", ("cronjob", "")),
    ],
)
def test_kinds_as_people_write_them(text: str, kind: tuple[str, str]) -> None:
    assert kind_named(text) == kind


def test_what_is_found() -> None:
    world = World()
    world.up(
        make_owner("Deployment", "web"),
        make_owner("Deployment", "web", namespace="lab", uid="uid-lab"),
        make_owner("Rollout", "web"),
        make_pod("old", name="web-1", terminating=True, created=9.0),
        make_pod("new", name="web-1", created=1.0),
    )
    state = world.state
    found = find_owner(state, *kind_named("deploy"), "lab", "web")
    assert found is not None
    assert found.uid == "uid-lab"
    assert find_owner(state, *kind_named("deployments.batch"), "lab", "web") is None
    assert find_owner(state, *kind_named("rollouts.argoproj.io"), "shop", "web") is not None
    assert find_owner(state, *kind_named("deploy"), "shop", "api") is None
    pod = find_pod(state, "shop", "web-1")
    assert pod is not None
    assert pod.uid == "new"
    assert find_pod(state, "lab", "web-1") is None
    assert namespaces_with(state, *kind_named("deploy"), "web") == ["lab", "shop"]
    assert namespaces_with(state, *kind_named("pod"), "web-1") == ["shop"]
