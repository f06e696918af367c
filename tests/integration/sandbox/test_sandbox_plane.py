"""The control plane as its users meet it: ready, restarted, and broken."""

import os
import signal
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from support.patience import eventually

from extender.core.model.errors import ApiError, SandboxError
from extender.sandbox import ControlPlane
from extender.sandbox.versions import KUBERNETES

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane() as started:
        yield started


async def test_it_is_the_pinned_version_and_serves_its_admin(plane: ControlPlane) -> None:
    async with await plane.connect() as api:
        assert msgspec.json.decode(await api.request("GET", "/version"))["gitVersion"] == KUBERNETES
        await api.request("GET", "/api/v1/nodes")
    plane.check()


async def test_rbac_decides_what_other_users_may_do(plane: ControlPlane) -> None:
    async with await plane.connect("ann", ("ops",)) as ann, await plane.connect() as admin:
        with pytest.raises(ApiError) as caught:
            await ann.request("GET", "/api/v1/nodes")
        assert caught.value.status == 403
        assert 'User "ann"' in str(caught.value)
        binding = {
            "metadata": {"name": "ops"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "ops"}],
        }
        await admin.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body=binding)

        async def allowed() -> bool:
            try:
                await ann.request("GET", "/api/v1/nodes")
            except ApiError:
                return False
            return True

        await eventually(allowed, bool, "the group's role lets ann read nodes")


async def test_the_api_server_restarts_on_its_port_with_its_data(plane: ControlPlane) -> None:
    async with await plane.connect() as api:
        await api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": "kept"}})
        for kill in (False, True):
            url, pid = plane.apiserver.url, plane.apiserver.pid
            await plane.apiserver.restart(kill=kill)
            assert plane.apiserver.url == url
            assert plane.apiserver.pid != pid
            await api.request("GET", "/api/v1/namespaces/kept")
    plane.check()


async def test_further_schedulers_serve_the_name_they_are_started_under(plane: ControlPlane) -> None:
    first = await plane.start_scheduler("first")
    second = await plane.start_scheduler("second", "percentageOfNodesToScore: 7")
    assert first.running
    assert "schedulerName: first" in first.config_path.read_text()
    with pytest.raises(SandboxError, match="'second' exists"):
        await plane.start_scheduler("second")
    await second.restart({"podInitialBackoffSeconds": 3})
    assert "percentageOfNodesToScore" not in second.config_path.read_text()
    await second.restart()
    assert "podInitialBackoffSeconds: 3" in second.config_path.read_text()
    await first.stop()
    await second.stop()
    plane.check()


async def test_a_configuration_the_scheduler_refuses_is_told_in_its_words(plane: ControlPlane) -> None:
    with pytest.raises(SandboxError, match=r"(?s)broken ended with exit code 1.*nonsense"):
        await plane.start_scheduler("broken", {"nonsense": True})


async def test_a_component_that_dies_is_named_by_check(plane: ControlPlane) -> None:
    pid = plane.controller_manager.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def running() -> bool:
        return plane.controller_manager.running

    await eventually(running, lambda up: not up, "the controller manager dies")
    with pytest.raises(SandboxError, match="kube-controller-manager ended with signal SIGKILL"):
        plane.check()
    await plane.controller_manager.start()
    plane.check()


async def test_no_component_logs_an_error_of_our_making(plane: ControlPlane) -> None:
    log = plane.scheduler.log_path.read_text()
    assert "missing content for CA bundle" not in log
    assert "leaderelection" not in log.lower().replace("leaderelection:", "")
