"""Who asks and whether they may, with tokens and roles of a real API server."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster
from support.patience import eventually
from support.people import People

from extender.core.model.access import get_workload, list_nodes, list_workloads
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.kube.access import Access
from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def client(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        await Cluster(client, "shop").create_namespace()
        yield client


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def people(client: ApiClient) -> People:
    return People(client)


async def allowed(access: Access, token: str, *, namespace: str) -> str:
    """Empty, or what is said to the one who asks for the workloads of a namespace."""
    try:
        await access.allow(token, list_workloads(namespace))
    except Forbidden as error:
        return str(error)
    return ""


async def test_a_role_lets_in_where_it_says(client: ApiClient, people: People) -> None:
    token = await people.arrive("one-namespace", list_workloads("shop"), get_workload("shop", "cart"))
    access = Access(client)
    assert await allowed(access, token, namespace="shop") == ""
    user = await access.who(token)
    assert user.name == "system:serviceaccount:default:one-namespace"
    assert "system:serviceaccounts:default" in user.groups
    assert "authentication.kubernetes.io/credential-id" in dict(user.extra)
    await access.allow(token, get_workload("shop", "cart"))
    with pytest.raises(Forbidden, match='cannot get resource "workloads" "other" in API group'):
        await access.allow(token, get_workload("shop", "other"))
    assert (await allowed(access, token, namespace="")).endswith("in all namespaces")
    with pytest.raises(Forbidden, match='cannot list resource "nodes"'):
        await access.allow(token, list_nodes())


async def test_a_cluster_role_lets_in_everywhere_until_it_is_taken_back(client: ApiClient, people: People) -> None:
    right = list_workloads()
    token = await people.arrive("everywhere", right)
    for namespace in ("", "shop"):
        assert await allowed(Access(client), token, namespace=namespace) == ""
    await people.revoke("everywhere", right)
    # An answer is remembered, hence another memory.
    assert await allowed(Access(client), token, namespace="")


async def test_tokens_that_are_not_accepted(client: ApiClient, people: People) -> None:
    token = await people.arrive("somebody")
    with pytest.raises(Forbidden, match='user "system:serviceaccount:default:somebody" cannot'):
        await Access(client).allow(token, list_workloads())
    # Neither a changed one, nor one that was made for somebody else's use.
    elsewhere = await people.token("somebody", "elsewhere.example.com")
    for wrong in (f"{token[:-8]}AAAAAAAA", elsewhere, "abcdef.0123456789abcdef"):
        with pytest.raises(Unauthenticated, match="the API server does not accept the token") as caught:
            await Access(client).who(wrong)
        assert wrong not in str(caught.value)


async def test_the_token_of_a_deleted_account(client: ApiClient, people: People) -> None:
    token = await people.arrive("leaver")
    await Access(client).who(token)
    await people.leave("leaver")

    async def told() -> str:
        try:
            await Access(client).who(token)
        except Unauthenticated as error:
            return str(error)
        return ""

    # The API server itself looks accounts up in its own cache.
    assert "not found" in await eventually(told, bool, "the account is gone")


async def test_we_need_the_right_to_ask(plane: ControlPlane, people: People) -> None:
    token = await people.arrive("asker")
    async with await plane.connect("nobody") as powerless:
        with pytest.raises(ApiError, match='cannot create resource "tokenreviews"') as caught:
            await Access(powerless).who(token)
        assert caught.value.status == 403
        assert token not in str(caught.value)


async def test_an_api_server_that_is_away(plane: ControlPlane, client: ApiClient, people: People) -> None:
    token = await people.arrive("patient", list_workloads())
    assert await allowed(Access(client), token, namespace="") == ""
    await plane.apiserver.stop()
    try:
        with pytest.raises(ApiError) as caught:
            await Access(client).allow(token, list_workloads())
        assert caught.value.status == 0
    finally:
        await plane.apiserver.start()
    await eventually(lambda: allowed(Access(client), token, namespace=""), lambda text: not text, "it is back")
