"""Completion of what only the cluster knows: namespaces and objects; without a cluster nothing is offered or said."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from unit.kube.fake_api import FakeApi, Fault, write_kubeconfig

SCRIPT = Path(sys.executable).with_name("spotmix")
Complete = Callable[..., list[str]]


def named(*names: str) -> bytes:
    return json.dumps({"items": [{"metadata": {"name": name}} for name in names]}).encode()


@pytest.fixture
def complete(tmp_path: Path) -> Complete:
    def completed(line: str, *, shell: str = "bash", kubeconfig: str = "") -> list[str]:
        """What the shell is given for a line, whose last word is incomplete; nothing else is printed."""
        words = line.split(" ")
        position = words[-1] if shell == "fish" else str(len(words) - 1)
        environ = {
            "_SPOTMIX_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": position,
            "KUBECONFIG": kubeconfig,
            "HOME": str(tmp_path),
        }
        ran = subprocess.run(
            [SCRIPT], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environ}
        )
        assert ran.stderr == ""
        return [each for each in ran.stdout.splitlines() if each]

    return completed


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> str:
    def answering(*names: str) -> Callable[[web.Request], object]:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(body=named(*names), content_type="application/json")

        return answer

    api.handlers["/api/v1/namespaces"] = answering("shop", "sandbox", "kube-system")  # type: ignore[assignment]
    api.handlers["/apis/apps/v1/namespaces/shop/deployments"] = answering("web", "worker", "api")  # type: ignore[assignment]
    api.handlers["/api/v1/namespaces/default/pods"] = answering("web-0")  # type: ignore[assignment]
    return write_kubeconfig(tmp_path / "config", api.url, {"token": "t"})


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("spotmix status -n s", ["plain,sandbox", "plain,shop"]),
        ("spotmix drift plan --namespace ku", ["plain,kube-system"]),
        ("spotmix explain -n shop deploy/w", ["plain,deploy/web", "plain,deploy/worker"]),
        ("spotmix what-if -n shop deploy wo", ["plain,worker"]),
        ("spotmix watch pod/", ["plain,pod/web-0"]),
        ("spotmix explain rollout/", []),
        ("spotmix explain cr", ["plain,cronjob"]),
    ],
)
def test_what_there_is_is_offered(line: str, offered: list[str], complete: Complete, kubeconfig: str) -> None:
    assert complete(line, kubeconfig=kubeconfig) == offered


@pytest.mark.parametrize(
    ("shell", "offered"),
    [("bash", ["plain,shop"]), ("zsh", ["plain", "shop", "_"]), ("fish", ["plain,shop"])],
)
def test_every_shell_is_offered_it(shell: str, offered: list[str], complete: Complete, kubeconfig: str) -> None:
    lines = complete("spotmix status -n sh", shell=shell, kubeconfig=kubeconfig)
    assert " ".join(lines).split() == offered


def test_it_is_asked_as_the_line_says(api: FakeApi, complete: Complete, kubeconfig: str) -> None:
    assert complete("spotmix status --as bob -n sh", kubeconfig=kubeconfig) == ["plain,shop"]
    (seen,) = api.seen
    assert seen[3]["Impersonate-User"] == "bob"
    assert "PartialObjectMetadataList" in seen[3]["Accept"]


@pytest.mark.parametrize("line", ["spotmix status -n s", "spotmix explain deploy/w", "spotmix explain pod w"])
def test_without_a_cluster_nothing_is_offered_or_said(line: str, complete: Complete, tmp_path: Path) -> None:
    assert complete(line) == []
    assert complete(line, kubeconfig=str(tmp_path / "none")) == []
    assert complete(line, kubeconfig=write_kubeconfig(tmp_path / "away", "https://127.0.0.1:1")) == []
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such"}}
    assert complete(line, kubeconfig=write_kubeconfig(tmp_path / "plugin", "https://127.0.0.1:1", plugin)) == []


def test_a_server_that_refuses_or_does_not_answer(
    api: FakeApi,
    complete: Complete,
    kubeconfig: str,
) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return Fault(403, "Forbidden").response()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    for handler in (refuse, hang):
        api.handlers["/api/v1/namespaces"] = handler
        assert complete("spotmix status -n s", kubeconfig=kubeconfig) == []
