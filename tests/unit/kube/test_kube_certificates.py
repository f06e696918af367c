"""The Secret and the webhook configurations, tended by replicas in virtual time."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from support.doubles_kube import KubeClient, StoredObjects, refusal
from support.doubles_servers import run_virtually

from extender.core.model.errors import ConfigError, WireError
from extender.kube.bundles import COLLECTIONS
from extender.kube.certificates import MADE_BY_US, CertificateKeeper, Place, Serving
from extender.kube.seams import Timing
from extender.pki.rotation import CA, CA_KEY, CERT, KEY, Rules
from extender.pki.x509 import Names, is_issued_by, issue, issue_ca, read_certificates, write_certificates, write_key
from extender.wire.certificates_v1 import decode_configuration, decode_secret

SECRET = "/api/v1/namespaces/system/secrets/tls"  # noqa: S105 - a path
MUTATING, VALIDATING = (f"{collection}/hooks" for collection in COLLECTIONS)
START = 1_800_000_000.0
RULES = Rules(Names(("web.system.svc",)), 1000.0, 3000.0, 400.0)


def now() -> float:
    return START + asyncio.get_running_loop().time()


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


class CertificateReplica:
    """A keeper with a client of its own."""

    def __init__(self, objects: StoredObjects, rules: Rules) -> None:
        self.client = KubeClient(objects)
        self.served: list[Serving] = []
        self.reports: list[str] = []
        self.told: list[str] = []
        self.keeper = CertificateKeeper(
            self.client,
            Place("system", "tls", ("hooks",)),
            rules,
            self._serve,
            lambda _name, text: self.reports.append(text),
            told=self.told.append,
            timing=Timing(now=now),
        )
        self.task = asyncio.create_task(self.keeper.run())

    def _serve(self, serving: Serving) -> None:
        if b"BEGIN" not in serving.key:
            raise ConfigError("no key")
        self.served.append(serving)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class CertificateRoom:
    """What the API server holds, and replicas."""

    def __init__(self) -> None:
        self.objects = StoredObjects()
        self.replicas: list[CertificateReplica] = []

    def replica(self, rules: Rules = RULES) -> CertificateReplica:
        self.replicas.append(CertificateReplica(self.objects, rules))
        return self.replicas[-1]

    def secret(self, data: Mapping[str, bytes] | None = None, **annotations: str) -> None:
        self.objects.put(SECRET, {"metadata": {"annotations": annotations}, "data": encoded(data) if data else None})

    @property
    def data(self) -> dict[str, bytes]:
        return {key: base64.b64decode(value) for key, value in self.objects.stored[SECRET]["data"].items()}

    def hooks(self, path: str = MUTATING, *bundles: bytes) -> None:
        webhooks = [
            {"name": f"h{n}", "clientConfig": {"service": {"name": "web"}, **({"caBundle": b} if b else {})}}
            for n, b in enumerate(base64.b64encode(bundle).decode() for bundle in bundles)
        ]
        self.objects.put(path, {"metadata": {"name": "hooks"}, "webhooks": webhooks})

    def bundles(self, path: str = MUTATING) -> list[bytes]:
        webhooks = self.objects.stored[path]["webhooks"]
        return [base64.b64decode(hook["clientConfig"].get("caBundle", "")) for hook in webhooks]

    async def until(self, check: Callable[[], object], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not check():  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.01)


Check = Callable[[CertificateRoom], Awaitable[None]]


def virtually(check: Check) -> None:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[CertificateRoom]:
        room = CertificateRoom()
        try:
            yield room
        finally:
            for replica in room.replicas:
                await replica.stop()

    async def main() -> None:
        async with opened() as room:
            await check(room)

    run_virtually(main)


@pytest.mark.parametrize("exists", [False, True])
def test_replicas_that_start_together_on_nothing_agree(exists: bool) -> None:
    async def check(room: CertificateRoom) -> None:
        if exists:
            room.secret()
        room.hooks(MUTATING, b"", b"old")
        room.hooks(VALIDATING, b"")
        replicas = [room.replica() for _ in range(3)]
        assert "not read yet" in replicas[0].keeper.faults()[0]
        await room.until(lambda: all(r.served for r in replicas))
        await asyncio.sleep(1)
        assert {r.served[-1] for r in replicas} == {replicas[0].served[0]}
        assert sum(len(r.told) for r in replicas) == 1
        assert replicas[0].served[0].cert == room.data[CERT]
        assert room.objects.stored[SECRET]["metadata"]["annotations"] == {MADE_BY_US: "self-made"}
        assert room.bundles(MUTATING) == [room.data[CA]] * 2
        assert room.bundles(VALIDATING) == [room.data[CA]]
        # What else is in the configuration stays.
        assert room.objects.stored[MUTATING]["webhooks"][0]["clientConfig"]["service"] == {"name": "web"}
        assert [r.keeper.faults() for r in replicas] == [[]] * 3
        assert [r.reports for r in replicas] == [[]] * 3

    virtually(check)


def test_a_restart_finds_the_same() -> None:
    async def check(room: CertificateRoom) -> None:
        one = room.replica()
        await room.until(lambda: one.served)
        before = dict(room.objects.stored)
        await one.stop()
        two = room.replica()
        await room.until(lambda: two.served)
        await asyncio.sleep(30)
        assert two.served == one.served
        assert room.objects.stored == before

    virtually(check)


def test_everything_is_renewed_in_time_and_in_order() -> None:
    async def check(room: CertificateRoom) -> None:
        room.hooks(MUTATING, b"")
        one, two = room.replica(), room.replica()
        await room.until(lambda: one.served and two.served)
        for _ in range(2000):
            await asyncio.sleep(5)
            for replica in (one, two):
                serving = replica.served[-1]
                assert replica.keeper.faults() == []
                # Whoever verifies by the configuration can.
                (cert,) = read_certificates(serving.cert)
                assert any(is_issued_by(cert, ca) for ca in read_certificates(room.bundles()[0]))
        assert one.served[-1] == two.served[-1]
        certs = list(dict.fromkeys(s.cert for s in one.served))
        cas = {read_certificates(s.ca)[0] for s in one.served}
        assert len(certs) > 10
        assert len(cas) > 3
        assert max(len(read_certificates(s.ca)) for s in one.served) == 2
        assert one.reports == two.reports == []

    virtually(check)


def test_a_configuration_is_mended_whenever_somebody_changes_or_makes_it() -> None:
    async def check(room: CertificateRoom) -> None:
        one, two = room.replica(), room.replica()
        await room.until(lambda: one.served and two.served)
        for _ in range(3):
            for path in (MUTATING, VALIDATING):
                room.hooks(path, b"", b"wrong", room.data[CA])
            await room.until(lambda: {*room.bundles(MUTATING), *room.bundles(VALIDATING)} == {room.data[CA]}, 1)
        patches = [path for r in (one, two) for method, path in r.client.seen if method == "PATCH" and "hooks" in path]
        version = room.objects.version
        await asyncio.sleep(300)
        assert room.objects.version == version
        # Of two that mend at once one is refused, and it stays at that.
        assert len(patches) <= 12
        room.objects.delete(VALIDATING)
        await asyncio.sleep(1)
        assert one.reports == two.reports == []

    virtually(check)


def test_a_replica_that_is_behind_does_not_put_an_old_bundle_back() -> None:
    async def check(room: CertificateRoom) -> None:
        room.hooks(MUTATING, b"")
        one, two = room.replica(), room.replica()
        await room.until(lambda: one.served and two.served and room.bundles() == [room.data[CA]])
        old = room.data[CA]
        # It does not hear of the Secret, only of the configuration.
        two.client.watches = False
        room.objects.delete(SECRET)
        seen: list[bytes] = []

        def watch(_method: str, _path: str) -> None:
            if seen[-1:] != room.bundles():
                seen.extend(room.bundles())

        one.client.before = two.client.before = watch
        await room.until(lambda: SECRET in room.objects.stored and room.bundles() == [room.data[CA]])
        await asyncio.sleep(100)
        assert room.data[CA].endswith(old)
        assert seen.count(old) <= 1
        assert one.reports == two.reports == []

    virtually(check)


def test_a_deleted_secret_is_made_again_and_the_bundle_follows() -> None:
    async def check(room: CertificateRoom) -> None:
        room.hooks(MUTATING, b"")
        one, two = room.replica(), room.replica()
        await room.until(lambda: one.served and two.served)
        old, served = read_certificates(room.data[CA])[0], one.served[-1].cert
        room.objects.delete(SECRET)
        await room.until(lambda: SECRET in room.objects.stored)
        new = read_certificates(room.data[CA])[0]
        assert new != old
        await room.until(lambda: room.bundles() == [room.data[CA]])
        # Served meanwhile is what is trusted already.
        assert one.served[-1].cert == two.served[-1].cert == served
        await asyncio.sleep(RULES.overlap * 1.2)
        assert one.served[-1].cert == two.served[-1].cert != served
        await asyncio.sleep(RULES.overlap * 1.2)
        assert read_certificates(room.bundles()[0]) == [new]
        assert one.reports == two.reports == []

    virtually(check)


def foreign(*, with_ca: bool) -> dict[str, bytes]:
    ca = issue_ca(START, 100_000)
    cert, key = issue(ca, Names(("theirs",)), START, 500)
    data = {CERT: write_certificates([cert]), KEY: write_key(key)}
    return {**data, CA: write_certificates([ca.cert])} if with_ca else data


@pytest.mark.parametrize("with_ca", [False, True])
@pytest.mark.parametrize("annotated", [False, True])
def test_a_certificate_of_the_users_own_is_served_as_it_is(with_ca: bool, annotated: bool) -> None:
    async def check(room: CertificateRoom) -> None:
        data = foreign(with_ca=with_ca)
        room.secret(data, **({MADE_BY_US: "self-made"} if annotated else {}))
        room.hooks(MUTATING, b"theirs")
        one = room.replica()
        await room.until(lambda: one.served)
        await asyncio.sleep(10)
        assert one.served[0].cert == data[CERT]
        assert one.keeper.faults() == []
        assert room.bundles() == [data.get(CA, b"theirs")]
        await asyncio.sleep(500)
        # Expired, it is still theirs.
        assert room.data == data
        assert "expired" in one.keeper.faults()[0]
        await asyncio.sleep(100)
        new = foreign(with_ca=with_ca)
        room.secret(new)
        await room.until(lambda: one.served[-1].cert == new[CERT])

    virtually(check)


def test_what_has_not_begun_is_not_served_as_if_it_had() -> None:
    async def check(room: CertificateRoom) -> None:
        authority = issue_ca(now() + 1000, 2000.0)
        cert, key = issue(authority, RULES.names, now() + 1000, 500.0)
        theirs = {CERT: write_certificates([cert]), KEY: write_key(key), CA: write_certificates([authority.cert])}
        room.secret(theirs)
        one = room.replica()
        await room.until(lambda: one.served)
        # It is a user's: nobody else may replace it, and nobody can verify it.
        assert "not valid yet; put one there that is, or set the clock" in one.keeper.faults()[0]
        assert room.data == theirs
        room.secret({**theirs, CA_KEY: write_key(authority.key)}, **{MADE_BY_US: "self-made"})
        await room.until(lambda: len(one.served) == 2, 100.0)
        assert one.keeper.faults() == []
        assert one.served[-1].validity.begins <= now() < one.served[-1].validity.ends

    virtually(check)


def test_nonsense_that_is_not_ours_is_reported_and_left_alone() -> None:
    async def check(room: CertificateRoom) -> None:
        data = {CERT: b"x", KEY: b"y", CA_KEY: b"z"}
        room.secret(data)
        one = room.replica()
        await asyncio.sleep(5)
        assert room.data == data
        (fault,) = one.keeper.faults()
        assert fault.startswith("webhook certificate: Secret system/tls: ca.key is no PEM file")
        assert "it was not made by us: correct it, or empty it to have it filled" in fault
        assert "tls.crt is no PEM file" in one.reports[0]
        room.secret()
        await room.until(lambda: one.served)
        assert one.keeper.faults() == []

    virtually(check)


@pytest.mark.parametrize(
    "data",
    [{CERT: b"x", KEY: b"y"}, {CERT: b"x", KEY: b"y", CA: b"a", CA_KEY: b"z"}, {CA_KEY: b"z"}, {CA: b"x", CERT: b"x"}],
)
def test_nonsense_that_was_ours_is_reported_and_made_anew(data: dict[str, bytes]) -> None:
    async def check(room: CertificateRoom) -> None:
        room.secret({**data, "kept": b"k"}, **{MADE_BY_US: "self-made"})
        one = room.replica()
        await room.until(lambda: one.served)
        assert "it is made anew" in one.reports[0]
        assert one.keeper.faults() == []
        assert room.data["kept"] == b"k"

    virtually(check)


def test_a_secret_that_must_not_be_made_is_asked_for() -> None:
    async def check(room: CertificateRoom) -> None:
        one = room.replica()

        def forbid(method: str, _path: str) -> None:
            if method == "POST":
                raise refusal(403, "Forbidden")

        one.client.before = forbid
        await asyncio.sleep(5)
        assert "create an empty Secret of this name, or allow us to create Secrets" in one.keeper.faults()[0]
        room.secret()
        await room.until(lambda: one.served, 60)
        assert one.keeper.faults() == []

    virtually(check)


def test_an_outage_keeps_what_is_served_and_renewal_is_made_up_for() -> None:
    async def check(room: CertificateRoom) -> None:
        one = room.replica()
        await room.until(lambda: one.served)
        one.client.down = True
        await asyncio.sleep(RULES.validity + 10)
        assert len(one.served) == 1
        assert "expired" in one.keeper.faults()[0]
        one.client.down = False
        await room.until(lambda: not one.keeper.faults(), 60)
        assert len(one.served) > 1

    virtually(check)


def test_a_configuration_that_must_not_be_written_holds_the_exchange_up() -> None:
    async def check(room: CertificateRoom) -> None:
        room.hooks(MUTATING, b"")
        one = room.replica()
        await room.until(lambda: one.served and room.bundles() == [room.data[CA]])

        def forbid(method: str, path: str) -> None:
            if method == "PATCH" and "hooks" in path:
                raise refusal(403, "Forbidden")

        one.client.before = forbid
        served = one.served[-1].cert
        room.objects.delete(SECRET)
        await asyncio.sleep(2 * RULES.overlap)
        assert one.served[-1].cert == served
        assert "403" in one.reports[-1]
        one.client.before = lambda _method, _path: None
        await asyncio.sleep(RULES.overlap)
        assert one.served[-1].cert != served

    virtually(check)


def test_what_is_no_secret_and_no_configuration() -> None:
    for body in (b"", b"{}", b'{"metadata":{},"data":{"a":"%"}}', b'{"metadata":{},"data":[]}'):
        with pytest.raises(WireError, match="the Secret does not decode"):
            decode_secret(body)
    assert decode_secret(b'{"metadata":{"annotations":null},"data":{"a":null}}').data == {}
    with pytest.raises(WireError, match="the webhook configuration does not decode"):
        decode_configuration(b'{"metadata":{},"webhooks":[{}]}')
    empty: Any = decode_configuration(b'{"metadata":{"resourceVersion":"1"},"webhooks":null}')
    assert (empty.version, empty.bundles) == ("1", {})
    odd = decode_configuration(b'{"metadata":{},"webhooks":[{"name":"a","clientConfig":{"caBundle":"x"}}]}')
    assert odd.bundles == {"a": b""}
