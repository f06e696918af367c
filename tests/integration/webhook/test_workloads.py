"""What whoever applies a workload or a ConfigMap hears from the real API server."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.cluster import Cluster, pod_template, policy
from support.patience import eventually
from support.stage import Stage
from support.webhook import Hook, post_with_warnings

from extender.core.model.errors import ApiError
from extender.sandbox.ports import LOOPBACK
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]
WRONG = (
    "Deployment {}/web: spotmix.io/spot-percentage='seventy' is not a percentage; write a whole number from 0 to 100"
)


def deployment(replicas: int = 3, labels: dict[str, str] | None = None, **keys: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "web",
            "labels": {"spotmix.io/enabled": "true"} if labels is None else labels,
            "annotations": policy(**keys),
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template({"app": "web"}),
        },
    }


async def test_wrong_annotations_are_warned_about(stage: Stage, cluster: Cluster) -> None:
    path = cluster.path("Deployment")
    status, warnings, _ = post_with_warnings(stage.plane, path, deployment(spot_percentage="seventy"))
    assert status == 201
    assert len(warnings) == 1
    assert WRONG.format(cluster.namespace) in warnings[0]
    # What touches none of our keys is not nagged about.
    status, warnings, _ = post_with_warnings(stage.plane, path, deployment(spot_percentage="70"))
    assert (status, warnings) == (409, [])
    before = stage.metric('spotmix_admissions_total{outcome="warned",verb="validate-workloads"}')
    await cluster.scale("Deployment", "web", 5)
    assert stage.metric('spotmix_admissions_total{outcome="warned",verb="validate-workloads"}') == before


async def test_what_is_pointless_is_warned_about(stage: Stage, cluster: Cluster) -> None:
    body = deployment(1, spot_percentage=70, min_on_demand=2)
    status, warnings, _ = post_with_warnings(stage.plane, cluster.path("Deployment"), body)
    assert status == 201
    assert len(warnings) == 1
    assert "spot-percentage='70' with min-on-demand=2 gives no spot replica below 3 replicas" in warnings[0]
    status, warnings, _ = post_with_warnings(
        stage.plane, "/api/v1/namespaces", {"metadata": {"name": "typo", "annotations": policy(max_spto=1)}}
    )
    assert status == 201
    assert "did you mean spotmix.io/max-spot?" in warnings[0]


async def test_deny_refuses_what_is_wrong_and_nothing_else(tmp_path: Path, stage: Stage) -> None:
    hook = Hook.of_files(tmp_path)
    denying = SpotmixServe(stage.plane, *hook.flags, "--webhook-invalid-policies=deny", name="denying")
    await denying.start()
    try:
        async with stage.namespace({"strict": "true"}) as cluster:
            await hook.register(stage.api, "strict", namespaceSelector={"matchLabels": {"strict": "true"}})

            async def refused() -> str:
                try:
                    await cluster.api.request(
                        "POST",
                        cluster.path("Deployment"),
                        params={"dryRun": "All"},
                        body=deployment(spot_percentage="seventy"),
                    )
                except ApiError as error:
                    return str(error)
                return ""

            text = await eventually(refused, bool, "a refusal")
            assert 'admission webhook "workloads.spotmix.io" denied the request: ' in text
            assert WRONG.format(cluster.namespace) in text
            await cluster.deployment("web", 1, policy(spot_percentage=70))
            await cluster.ready("web", 1)
    finally:
        await denying.stop()
        for kind in ("mutating", "validating"):
            await stage.api.request(
                "DELETE", f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/strict"
            )


async def test_a_new_certificate_in_the_files_is_served_without_a_restart(tmp_path: Path, stage: Stage) -> None:
    hook = Hook.of_files(tmp_path)
    rotating = SpotmixServe(stage.plane, *hook.flags, name="rotating")
    await rotating.start()
    try:
        other = Authority("another")
        trusting = ssl.create_default_context(cafile=other.write(tmp_path / "other.pem"))

        async def trusted() -> bool:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, hook.port, ssl=trusting)
            except ssl.SSLError:
                return False
            writer.close()
            return True

        assert not await trusted()
        other.issue(tmp_path, f"webhook-{hook.port}", (LOOPBACK,))
        await eventually(trusted, bool, "the new certificate")
    finally:
        await rotating.stop()
