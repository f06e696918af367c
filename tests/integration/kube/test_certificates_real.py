"""The webhook's certificate on a real API server: exchanged under load, agreed upon, made again."""

import asyncio
import base64
import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator

import pytest
from cryptography import x509
from support.doubles_servers import connected, no_metrics
from support.patience import eventually, stretched, within

from extender.kube.bundles import COLLECTIONS
from extender.kube.certificates import MADE_BY_US, Place
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.pki.rotation import CA, CA_KEY, CERT, KEY, Rules
from extender.pki.x509 import Names, read_certificates, service_names
from extender.runtime.certificate import ServingCertificate
from extender.sandbox import ControlPlane
from extender.sandbox.spotmix import SpotmixServe
from extender.servers.http import HealthApp
from extender.servers.server import HttpServer, bind

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

SECRETS = "/api/v1/namespaces/default/secrets"
NAMES = Names(service_names("spotmix", "default"), ("127.0.0.1",))
LONG = Rules(NAMES, 3600.0, 36000.0, 600.0)
# A certificate every four seconds, and after each a new CA.
FAST = Rules(NAMES, 10.0, 20.0, 6.0)
PACE = 0.02
"""Seconds between requests: a certificate has to be met while it changes, not the machine kept busy."""


async def make_hooks(client: ApiClient, name: str) -> None:
    """One configuration of each kind; they match no object that anybody makes."""
    for collection, kind in zip(COLLECTIONS, ("Mutating", "Validating"), strict=True):
        hooks = [
            {
                "name": f"{number}.spotmix.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "clientConfig": {"service": {"name": "spotmix", "namespace": "default"}},
                "rules": [
                    {"apiGroups": ["none.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["none"]}
                ],
            }
            for number in range(2)
        ]
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": hooks,
        }
        await client.request("POST", collection, body=body)


async def bundles(client: ApiClient, name: str) -> set[bytes]:
    """All CA bundles of the configurations of a name."""
    found = set()
    for collection in COLLECTIONS:
        body = json.loads(await client.request("GET", f"{collection}/{name}"))
        found |= {base64.b64decode(hook["clientConfig"].get("caBundle", "")) for hook in body["webhooks"]}
    return found


async def secret(client: ApiClient, name: str) -> dict[str, bytes]:
    body = json.loads(await client.request("GET", f"{SECRETS}/{name}"))
    return {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}


class ServingReplica:
    """A server with the certificate of a Secret."""

    def __init__(self, client: ApiClient, name: str, rules: Rules) -> None:
        self.reports: list[str] = []
        place = Place("default", name, (name,))
        self.certificate = ServingCertificate(client, place, rules, lambda _name, text: self.reports.append(text))
        app = HealthApp(self.certificate.faults, no_metrics)
        self.server = HttpServer(app, bind("127.0.0.1", 0, "test"), self.certificate.context)

    async def ready(self) -> None:
        async def faults() -> list[str]:
            return self.certificate.faults()

        await eventually(faults, lambda found: not found, "a certificate")


@contextlib.asynccontextmanager
async def replicas(client: ApiClient, name: str, rules: Rules = LONG) -> AsyncIterator[list[ServingReplica]]:
    """Two that start at the same moment."""
    pair = [ServingReplica(client, name, rules) for _ in range(2)]
    tasks = [asyncio.create_task(replica.certificate.run()) for replica in pair]
    try:
        for replica in pair:
            await replica.server.start()
        for replica in pair:
            await replica.ready()
        yield pair
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for replica in pair:
            await replica.server.stop()


async def served(replica: ServingReplica) -> bytes:
    """The certificate that a client is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with connected(replica.server, context) as client:
        found = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return bytes(found)


class Stream:
    """Requests without end, on new connections and on kept ones, verified with what the configuration says."""

    def __init__(self, client: ApiClient, name: str, pair: list[ServingReplica]) -> None:
        self._client = client
        self._name = name
        self._pair = pair
        self.requests = 0
        self.leaves: set[bytes] = set()
        self.cas: set[x509.Certificate] = set()
        self.rotated = asyncio.Event()

    async def trust(self) -> ssl.SSLContext:
        body = json.loads(await self._client.request("GET", f"{COLLECTIONS[0]}/{self._name}"))
        bundle = base64.b64decode(body["webhooks"][0]["clientConfig"]["caBundle"])
        self.cas |= set(read_certificates(bundle))
        context = ssl.create_default_context(cadata=bundle.decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    async def on_new_connections(self, replica: ServingReplica) -> None:
        while not self.rotated.is_set():
            context = await self.trust()
            # An API server keeps what it has read for a while.
            for _ in range(5):
                async with connected(replica.server, context) as connection:
                    shown = connection.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                    self.leaves.add(bytes(shown))
                    assert (await connection.send("GET", "/readyz")).status == 200
                    self.requests += 1
                await asyncio.sleep(PACE)
            if len(self.leaves) >= 4 and len(self.cas) >= 3:
                self.rotated.set()

    async def on_a_kept_connection(self, replica: ServingReplica) -> None:
        async with connected(replica.server, await self.trust()) as connection:
            while not self.rotated.is_set():
                assert (await connection.send("GET", "/readyz")).status == 200
                self.requests += 1
                await asyncio.sleep(PACE)

    async def run(self) -> None:
        async with within(120), asyncio.TaskGroup() as group:
            for replica in self._pair:
                group.create_task(self.on_new_connections(replica))
                group.create_task(self.on_a_kept_connection(replica))


async def test_no_request_fails_while_certificate_and_ca_are_exchanged(client: ApiClient) -> None:
    await make_hooks(client, "fast")
    async with replicas(client, "fast", FAST) as pair:

        async def mended() -> set[bytes]:
            return await bundles(client, "fast")

        await eventually(mended, lambda found: b"" not in found, "bundles")
        stream = Stream(client, "fast", pair)
        await stream.run()
        assert stream.requests > 100
        assert [replica.reports for replica in pair] == [[], []]


async def test_two_that_start_together_agree_and_a_restart_finds_the_same(client: ApiClient) -> None:
    await make_hooks(client, "agree")
    await client.request("POST", SECRETS, body={"metadata": {"name": "agree", "labels": {"by": "helm"}}})
    async with replicas(client, "agree") as pair:
        assert await served(pair[0]) == await served(pair[1])
        first = await secret(client, "agree")
        assert set(first) == {CA, CA_KEY, CERT, KEY}
        body = json.loads(await client.request("GET", f"{SECRETS}/agree"))
        assert (body["metadata"]["labels"], body["metadata"]["annotations"]) == (
            {"by": "helm"},
            {MADE_BY_US: "self-made"},
        )
        assert [replica.reports for replica in pair] == [[], []]
    async with replicas(client, "agree") as pair:
        assert await secret(client, "agree") == first
        assert read_certificates(first[CERT])[0] == (await _certificate(pair[0]))

        async def held() -> set[bytes]:
            return await bundles(client, "agree")

        # A Helm upgrade takes the bundle away.
        for collection in COLLECTIONS:
            await client.request("DELETE", f"{collection}/agree")
        await make_hooks(client, "agree")
        await eventually(held, lambda found: found == {first[CA]}, "the bundles to be put back")
        await client.request("DELETE", f"{SECRETS}/agree")

        async def again() -> dict[str, bytes]:
            try:
                return await secret(client, "agree")
            except Exception:  # noqa: BLE001 - it is not there for a moment
                return {}

        new = await eventually(again, bool, "the Secret to be made again")
        assert new[CA] != first[CA]
        assert new[CA].endswith(first[CA])
        await eventually(held, lambda found: found == {new[CA]}, "the bundles to follow")


async def _certificate(replica: ServingReplica) -> x509.Certificate:
    return read_certificates(ssl.DER_cert_to_PEM_cert(await served(replica)).encode())[0]


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=stretched(5)) as answer:  # noqa: S310 - http on loopback
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code), error.read().decode()


async def test_serve_keeps_it_and_says_how_it_is(plane: ControlPlane, client: ApiClient) -> None:
    await make_hooks(client, "serve")
    broken = {"metadata": {"name": "serve"}, "data": {CA_KEY: base64.b64encode(b"x").decode()}}
    await client.request("POST", SECRETS, body=broken)
    flags = ("--webhook-certificates-secret", "serve", "--webhook-certificates-configurations", "[serve]")
    spotmix = SpotmixServe(plane, *flags, name="certificates", POD_NAMESPACE="default")
    starting = asyncio.create_task(spotmix.start())
    try:

        async def readiness() -> tuple[int, str]:
            try:
                return await asyncio.to_thread(_fetch, f"{spotmix.metrics_url}/readyz")
            except OSError as error:
                return 0, str(error)

        told = "Secret default/serve: ca.key is no PEM file"
        await eventually(readiness, lambda answer: answer[0] == 503 and told in answer[1], "it to be not ready")
        empty = {"data": None}
        await client.request("PATCH", f"{SECRETS}/serve", body=empty, content_type=MERGE_PATCH)
        await starting

        async def held() -> set[bytes]:
            return await bundles(client, "serve")

        bundle = (await secret(client, "serve"))[CA]
        await eventually(held, lambda found: found == {bundle}, "the bundles")
        _, metrics = await asyncio.to_thread(_fetch, f"{spotmix.metrics_url}/metrics")
        line = 'spotmix_certificate_expiry_timestamp_seconds{certificate="webhook"}'
        assert any(text.startswith(line) for text in metrics.splitlines())
        assert "spotmix_leader 1.0" in metrics.splitlines()
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await spotmix.stop()
