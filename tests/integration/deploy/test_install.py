"""The chart meets a real API server: every object is accepted, and real helm installs, upgrades and uninstalls it."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generate.chart import CHART, NAMESPACE, RELEASE, documents, pick, pod_templates, run_helm, template
from generate.manifests import MANIFESTS
from support.certificates import Authority
from support.chartvalues import HOST_NETWORK, VALUE_SETS
from support.objects import Objects, namespace
from support.policyobjects import placement_policy, served, shares

from extender.core.model.errors import ApiError
from extender.sandbox import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def lost(rendered: Any, accepted: Any, path: str = "") -> Iterator[str]:
    """The paths of what was rendered and is not in what the API server made of it."""
    if isinstance(rendered, dict):
        for key, value in rendered.items():
            if value in (None, {}, []):
                continue
            if not isinstance(accepted, dict) or key not in accepted:
                yield f"{path}.{key}"
            else:
                yield from lost(value, accepted[key], f"{path}.{key}")
    elif isinstance(rendered, list):
        if not isinstance(accepted, list) or len(accepted) < len(rendered):
            yield path
        else:
            for number, (mine, its) in enumerate(zip(rendered, accepted, strict=False)):
                yield from lost(mine, its, f"{path}[{number}]")


@pytest.mark.parametrize("name", VALUE_SETS)
async def test_every_object_is_accepted(objects: Objects, name: str) -> None:
    await objects.apply(namespace(NAMESPACE, RESTRICTED))
    rendered = template(VALUE_SETS[name], hooks=True)
    for each in rendered:
        accepted = await objects.apply(each, dry_run=True)
        assert list(lost(each, accepted)) == [], f"{each['kind']} {each['metadata']['name']}"
    for deployment, pod in pod_templates(rendered):
        # The namespace enforces the strictest of the Pod Security Standards; on Deployments that is a warning at most.
        metadata = {**pod["metadata"], "name": deployment, "namespace": NAMESPACE}
        await objects.apply({"apiVersion": "v1", "kind": "Pod", **pod, "metadata": metadata}, dry_run=True)


async def test_pods_on_the_hosts_network_need_a_namespace_that_lets_them(objects: Objects) -> None:
    for name, labels in (("hosts", {}), ("restricted", RESTRICTED)):
        await objects.apply(namespace(name, labels))
    pod = dict(pod_templates(template(HOST_NETWORK, namespace="hosts")))["spotmix"]

    async def create(where: str) -> None:
        metadata = {**pod["metadata"], "name": "spotmix", "namespace": where}
        await objects.apply({"apiVersion": "v1", "kind": "Pod", **pod, "metadata": metadata}, dry_run=True)

    await create("hosts")
    with pytest.raises(ApiError, match="host namespaces"):
        await create("restricted")


@pytest.mark.parametrize("name", sorted(path.name for path in MANIFESTS.iterdir()))
async def test_every_plain_manifest_is_accepted(objects: Objects, name: str) -> None:
    await objects.apply(namespace(NAMESPACE, RESTRICTED))
    for each in documents(await asyncio.to_thread((MANIFESTS / name).read_text)):
        await objects.apply(each, dry_run=True)


@pytest.mark.parametrize("server_side", ["true", "false"])
async def test_install_upgrade_and_uninstall(
    bare_plane: ControlPlane, objects: Objects, tmp_path: Path, server_side: str
) -> None:
    where = f"placement-{server_side}"
    environ = {"KUBECONFIG": str(bare_plane.kubeconfig), "HOME": str(tmp_path)}

    def helm(*arguments: str) -> str:
        return run_helm(*arguments, "--namespace", where, environ=environ)

    apply = ("--set", "fullnameOverride=placement", f"--server-side={server_side}")
    said = await asyncio.to_thread(helm, "install", RELEASE, str(CHART), "--create-namespace", *apply)
    assert f"kubectl -n {where} rollout status deployment/placement-scheduler" in said
    rendered = template({"fullnameOverride": "placement"}, namespace=where)
    for each in rendered:
        assert await objects.get(each), f"{each['kind']} {each['metadata']['name']}"

    # What `spotmix serve` puts there itself.
    secret = pick(rendered, "Secret", "placement-webhook-tls")
    data = {"ca.crt": base64.b64encode(b"ca").decode()}
    await objects.patch(secret, {"data": data})
    bundle = base64.b64encode(Authority("test CA").write(tmp_path / "ca.pem").read_bytes()).decode()
    hooks = [each for each in rendered if "webhooks" in each]
    for each in hooks:
        count = len(each["webhooks"])
        operations = [
            {"op": "add", "path": f"/webhooks/{n}/clientConfig/caBundle", "value": bundle} for n in range(count)
        ]
        await objects.patch(each, operations, "application/json-patch+json")

    await asyncio.to_thread(helm, "upgrade", RELEASE, str(CHART), *apply, "--set", "config.log.level=debug")
    upgraded = await objects.get(pick(rendered, "ConfigMap", "placement"))
    assert upgraded
    assert "level: debug" in upgraded["data"]["config.yaml"]
    kept = await objects.get(secret)
    assert kept
    assert kept["data"] == data
    for each in hooks:
        found = await objects.get(each)
        assert found
        assert [hook["clientConfig"].get("caBundle") for hook in found["webhooks"]] == [bundle] * len(each["webhooks"])

    await served(objects)
    users = placement_policy("web", "default", {"classes": shares(70)})
    await objects.apply(users)
    # Nothing runs here that could do what the hook is for; tests/integration/deploy/test_uninstall.py has that.
    await asyncio.to_thread(helm, "uninstall", RELEASE, "--no-hooks")
    definitions = [each for each in rendered if each["kind"] == "CustomResourceDefinition"]
    for each in rendered:
        if each not in definitions:
            await objects.gone(each)
    assert await objects.get(users), "an uninstall keeps everybody's policies"
    for each in definitions:
        await objects.delete(each)
        await objects.gone(each)
