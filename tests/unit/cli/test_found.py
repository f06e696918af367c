"""A service that is found through the kubeconfig and reached by a port-forward, and what is done without one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from support.doubles_api import FakeService, RefusalError
from unit.cli.test_service import world
from unit.kube.fake_api import FakeApi, Fault, fake_api, write_kubeconfig
from unit.kube.test_kube_servicepod import make

from extender.cli.client import Client
from extender.cli.questions import StatusAnswer, workloads
from extender.cli.service import Target, ask
from extender.cli.wanted import Wanted
from extender.core.answers.overview import Overview, overview
from extender.core.model.errors import ApiError, NotFoundError, ServiceError
from extender.kube.portforward import PROTOCOL
from extender.kube.servicepod import HOME
from extender.settings import Settings
from extender.wire.placement_v1 import to_message
from spotmix.placement.v1 import placement_pb2 as pb

HERE = "spotmix: computed here, from the kubeconfig: "


@pytest.fixture
def seen() -> Overview:
    made = world()
    return overview(made.state, made.now)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as api:
        yield api


def lists(api: FakeApi, *pods: dict[str, Any]) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": list(pods)})

    api.handlers["/api/v1/pods"] = handler


def forwards(api: FakeApi, pod: dict[str, Any], address: str) -> None:
    """Forward a pod's port as kubelets do."""
    port = int(address.rpartition(":")[2])

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for channel in range(2):
            await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))

        async def back() -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    await socket.send_bytes(b"\0" + data)
            await socket.close()

        task = asyncio.create_task(back())
        async for message in socket:
            writer.write(message.data[1:])
        writer.close()
        await asyncio.gather(task, return_exceptions=True)
        return socket

    meta = pod["metadata"]
    api.handlers[f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/portforward"] = handler


class Asking:
    """Whoever has a kubeconfig with the token `secret`."""

    def __init__(self, api: FakeApi, folder: Path) -> None:
        self.api = api
        self.settings = Settings(kubeconfig=write_kubeconfig(folder / "config", api.url, {"token": "secret"}))

    async def __call__(self, target: Target = Target(), given: Sequence[str] = ()) -> StatusAnswer | None:  # noqa: B008 - frozen
        async def question(client: Client) -> StatusAnswer:
            return await workloads(client, Wanted())

        return await ask(target, self.settings, dict.fromkeys(given, "x"), question)


@pytest.fixture
def asking(api: FakeApi, tmp_path: Path) -> Asking:
    return Asking(api, tmp_path)


def listing(seen: Overview) -> dict[str, Any]:
    return {"ListWorkloads": [pb.ListWorkloadsResponse(overview=to_message(seen))]}


async def test_it_is_found_and_asked(
    api: FakeApi, asking: Asking, seen: Overview, capsys: pytest.CaptureFixture[str]
) -> None:
    service, pod = FakeService(listing(seen)), make("a")
    lists(api, pod)
    with service.serving() as address:
        forwards(api, pod, address)
        told = await asking()
    assert told is not None
    assert told.overview == seen
    # Nobody asked for the token.
    assert [shown for *_, shown in service.seen] == [""]
    assert capsys.readouterr().err == ""


async def test_where_there_is_none_it_is_said(api: FakeApi, asking: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    lists(api)
    assert await asking() is None
    assert capsys.readouterr().err == f"{HERE}there is no Spotmix in the cluster\n"


@pytest.mark.parametrize(
    ("target", "given"), [(Target(local=True), ()), (Target(), ("config_file",)), (Target(), ("policy_prefixes",))]
)
async def test_who_wants_it_computed_here_is_told_nothing(
    target: Target, given: Sequence[str], api: FakeApi, asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asking(target, given) is None
    assert (api.seen, capsys.readouterr().err) == ([], "")


@pytest.mark.parametrize(("namespace", "named"), [("spotmix-system", ""), ("else", "else"), ("else", "")])
async def test_the_token_goes_to_a_namespace_that_is_known(
    namespace: str, named: str, asking: Asking, seen: Overview, capsys: pytest.CaptureFixture[str]
) -> None:
    api = asking.api
    service, pod = FakeService(listing(seen), "secret"), make("a", namespace)
    lists(api, pod)
    api.handlers[f"/api/v1/namespaces/{namespace}/pods"] = api.handlers["/api/v1/pods"]
    with service.serving() as address:
        forwards(api, pod, address)
        told = await asking(Target(namespace=named))
    if named or namespace == HOME:
        assert told is not None
        assert [token for *_, token in service.seen] == ["", "Bearer secret"]
        assert capsys.readouterr().err == ""
    else:
        assert told is None
        assert [token for *_, token in service.seen] == [""]
        assert capsys.readouterr().err == (
            f"{HERE}pod else/a asks for a token, and anybody may have labelled it; if it is Spotmix, "
            "give --server-namespace else\n"
        )


async def test_a_token_that_was_given_goes_to_whom_was_found(
    api: FakeApi, asking: Asking, seen: Overview, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("mine")
    service, pod = FakeService(listing(seen), "mine"), make("a", "else")
    lists(api, pod)
    with service.serving() as address:
        forwards(api, pod, address)
        assert await asking(Target(token=str(tmp_path / "token"))) is not None


async def test_a_service_of_another_version_is_not_believed(
    api: FakeApi, asking: Asking, seen: Overview, capsys: pytest.CaptureFixture[str]
) -> None:
    message = to_message(seen)
    message.workloads[0].conditions.append(99)
    pod = make("a")
    lists(api, pod)
    with FakeService({"ListWorkloads": [pb.ListWorkloadsResponse(overview=message)]}).serving() as address:
        forwards(api, pod, address)
        assert await asking() is None
    assert "use the version of spotmix that the service is of" in capsys.readouterr().err


async def test_what_the_service_does_not_have_is_nowhere(api: FakeApi, asking: Asking) -> None:
    pod = make("a")
    lists(api, pod)
    service = FakeService({"ListWorkloads": [RefusalError(grpc.StatusCode.NOT_FOUND, "no such namespace")]})
    with service.serving() as address:
        forwards(api, pod, address)
        with pytest.raises(NotFoundError, match="no such namespace"):
            await asking()


async def test_a_forbidden_port_forward_names_the_rights(
    api: FakeApi, asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return Fault(403, "Forbidden", message="no").response()

    lists(api, make("a"))
    path = "/api/v1/namespaces/spotmix-system/pods/a/portforward"
    api.handlers[path] = refuse
    assert await asking() is None
    assert capsys.readouterr().err == (
        f"{HERE}pod spotmix-system/a: GET {path}: 403 Forbidden: no; "
        "a port-forward needs the rights to get and create pods/portforward\n"
    )


async def test_without_an_api_server_there_is_nothing_to_compute_from(tmp_path: Path) -> None:
    async with fake_api() as gone:
        asking = Asking(gone, tmp_path)
    with pytest.raises(ApiError, match="ClientConnectorError"):
        await asking()


async def test_a_service_that_was_named_is_the_only_one(api: FakeApi, asking: Asking) -> None:
    with pytest.raises(ServiceError, match=r"^127\.0\.0\.1:1: "):
        await asking(Target(server="127.0.0.1:1"))
    assert api.seen == []
