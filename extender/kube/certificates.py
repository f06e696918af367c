"""A server's certificate in a Secret, which is the truth for all replicas.

Every replica follows the Secret and serves what is in it. Each also tends it: it fills it when it is empty, and
replaces what is due (`pki.rotation`). A write carries the resourceVersion that was read, so of two that come to the
same conclusion one is refused, reads again and serves what the other made. A certificate that a user put there without
a `ca.key` is served as it is.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from extender.core.model.errors import ApiError, ConfigError, WireError
from extender.kube.bundles import Bundles
from extender.kube.changes import wait_for_change
from extender.kube.client import MERGE_PATCH
from extender.kube.limits import Backoff
from extender.kube.paths import api_path
from extender.kube.seams import KubeWatchApi, Report, Timing
from extender.pki.rotation import CA, CERT, KEY, Rules, Step, Stored, next_step, read_stored, start_over
from extender.pki.x509 import Validity, validity_of
from extender.wire.certificates_v1 import Secret, decode_secret, secret_fields

MADE_BY_US = "spotmix.io/certificate"
# The Secret is looked at this often (seconds) even if nothing tells that it has changed.
LOOK = 60.0
# The least time between two looks (seconds), whatever is due.
LEAST = 0.05
ATTEMPTS = 10
CONFLICTS = frozenset({404, 409})


@dataclass(frozen=True, slots=True)
class Place:
    """Which Secret, the names of the webhook configurations that its CA goes into, and which server it is for."""

    namespace: str
    secret: str
    configurations: tuple[str, ...] = ()
    server: str = "webhook"


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve, in PEM: certificate, key, the CAs to be trusted; and when it is valid."""

    cert: bytes
    key: bytes
    ca: bytes
    validity: Validity


class CertificateKeeper:
    """Follows the Secret of a server, fills it, and renews what is due.

    Args:
        api: the API client.
        place: where it lives.
        rules: what it shall be like.
        serve: is given what to serve from now on. Raises `ConfigError` if it cannot be served.
        report: told of whatever goes wrong, under the name `certificates`.
        told: told of what was done, to be logged.
        timing: where clock, sleep and jitter come from.
    """

    def __init__(
        self,
        api: KubeWatchApi,
        place: Place,
        rules: Rules,
        serve: Callable[[Serving], None],
        report: Report,
        *,
        told: Callable[[str], None] = lambda _text: None,
        timing: Timing | None = None,
    ) -> None:
        self._api = api
        self._place = place
        self._rules = rules
        self._serve = serve
        self._report = report
        self._told = told
        self._timing = timing or Timing()
        self._now = self._timing.now
        self._collection = api_path("", "v1", "secrets", namespace=place.namespace)
        self._path = api_path("", "v1", "secrets", namespace=place.namespace, name=place.secret)
        self._where = f"Secret {place.namespace}/{place.secret}"
        self._lock = asyncio.Lock()
        self._version = ""
        self._stored: Stored | None = None
        self._serving: Serving | None = None
        self._problem = "not read yet"
        self._bundles = Bundles(api, self._newest_bundle, self._timing)

    def faults(self) -> list[str]:
        """Why no valid certificate is served, a line each; empty when one is."""
        serving = self._serving
        if serving is None:
            return [f"{self._place.server} certificate: {self._where}: {self._problem}"]
        fault = serving.validity.fault(self._now())
        return (
            [f"{self._place.server} certificate: {self._where}: {fault}; {self._problem or self._remedy}"]
            if fault
            else []
        )

    @property
    def _remedy(self) -> str:
        if self._stored is not None and self._stored.foreign:
            return "put one there that is, or set the clock"
        return "it is being replaced"

    async def run(self) -> None:
        """Follow and tend until cancelled."""
        tends = [self._tend, *self._bundles.tenders(self._place.configurations)]
        async with asyncio.TaskGroup() as group:
            for tend in tends:
                group.create_task(self._forever(tend))

    async def _forever(self, tend: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(self._timing.uniform, base=0.5, cap=30.0)
        while True:
            try:
                await tend()
            except (ApiError, WireError) as error:
                self._fault(str(error))
                retry_after = error.retry_after if isinstance(error, ApiError) else None
                await self._timing.sleep(backoff.next(retry_after))
            except Exception as error:  # noqa: BLE001 - a bug in one step must not end the others
                self._fault(f"{self._where}: {error!r}")
                await self._timing.sleep(backoff.next())
            else:
                backoff.reset()

    async def _tend(self) -> None:
        """One look at the Secret, and the wait for the next."""
        async with self._lock:
            due = await self._look()
        seconds = min(LOOK, max(LEAST, due - self._now()))
        await wait_for_change(self._api, self._collection, self._place.secret, self._version, seconds)

    async def _newest_bundle(self) -> bytes:
        """The CAs to be trusted, read anew: another replica may have changed them a moment ago."""
        async with self._lock:
            await self._look()
        return self._serving.ca if self._serving is not None else b""

    async def _look(self) -> float:
        """Read the Secret, do what is due, serve what is in it; when to look again (seconds since the epoch)."""
        for _ in range(ATTEMPTS):
            secret = await self._read()
            stored = read_stored(secret.data if secret is not None else {})
            step = self._judge(stored, secret)
            if step is None or step.data is None:
                self._version = secret.version if secret is not None else ""
                self._adopt(stored)
                return step.due if step is not None else self._now() + LOOK
            try:
                await self._write(step, secret)
            except ApiError as error:
                if error.status not in CONFLICTS or (secret is None and error.status == 404):
                    self._adopt(stored)
                    raise
            else:
                self._told(f"{self._where}: {step.why}")
        raise ApiError(f"{self._where}: others change it all the time", reason="Conflict")

    async def _read(self) -> Secret | None:
        try:
            return decode_secret(await self._api.request("GET", self._path))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def _judge(self, stored: Stored, secret: Secret | None) -> Step | None:
        """What to do about it; None when it is not ours to do anything."""
        now = self._now()
        if stored.empty:
            if self._stored is not None and not self._stored.foreign:
                # Deleted while it is served: whoever trusts it now has time to learn of its successor.
                return start_over(self._stored, self._rules, now)
            return next_step(stored, self._rules, now, trusted=False)
        ours = secret is not None and MADE_BY_US in secret.annotations
        if stored.foreign and not (stored.faults and ours):
            return None
        if stored.faults:
            self._fault(f"{self._where}: {'; '.join(stored.faults)}; {_remedy(ours=ours)}")
            if not ours:
                return None
        trusted = self._bundles.trust(stored.data.get(CA, b""))
        return next_step(stored, self._rules, now, trusted=trusted)

    async def _write(self, step: Step, secret: Secret | None) -> None:
        made = {MADE_BY_US: "self-made"}
        data = step.data or {}
        if secret is not None:
            fields = secret_fields(data, made, secret.version)
            await self._api.request("PATCH", self._path, body=fields, content_type=MERGE_PATCH)
            return
        fields = secret_fields(data, made)
        fields |= {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
        fields["metadata"] |= {"name": self._place.secret, "namespace": self._place.namespace}
        try:
            await self._api.request("POST", self._collection, body=fields)
        except ApiError as error:
            if error.status != 403:
                raise
            text = f"{error}; create an empty Secret of this name, or allow us to create Secrets"
            raise ApiError(text, status=error.status, reason=error.reason) from error

    def _adopt(self, stored: Stored) -> None:
        """Serve what is stored, if it can be served; else what was served before stays."""
        cert, data = stored.cert, stored.data
        if cert is None:
            if not stored.faults:
                self._problem = "there is no certificate in it"
            return
        serving = Serving(data[CERT], data.get(KEY, b""), data.get(CA, b""), validity_of(cert))
        if serving != self._serving:
            try:
                self._serve(serving)
            except ConfigError as error:
                self._fault(f"{self._where}: {error}")
                return
            self._serving = serving
            self._bundles.changed(serving.ca)
        self._stored, self._problem = stored, ""

    def _fault(self, text: str) -> None:
        self._problem = text.removeprefix(f"{self._where}: ")
        with contextlib.suppress(Exception):
            self._report("certificates", text)


def _remedy(*, ours: bool) -> str:
    if ours:
        return "it is made anew"
    return "it is left alone, for it was not made by us: correct it, or empty it to have it filled"
