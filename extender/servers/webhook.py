"""The webhook's HTTP application. Whatever goes wrong, no pod is refused for it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from extender.core.model.errors import WireError
from extender.servers.admission import UNKNOWN, About, Admission, ReviewAnswer, failure
from extender.servers.asgi import (
    CLOSE,
    TEXT,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    read_post,
    respond,
)
from extender.wire.admission_v1 import read_uid

Review = Callable[[bytes | bytearray], Awaitable[ReviewAnswer]]


class AdmissionObserver(Protocol):
    """Is told of every review, to count, time and log. `verb` is `mutate-pods` and so on."""

    def answered(self, verb: str, seconds: float) -> None:
        """A request was answered, within so many seconds."""
        ...

    def admitted(self, verb: str, outcome: str, about: About) -> None:
        """An object was mutated, left unchanged, warned about, denied; or failed to be looked at."""
        ...

    def failed(self, verb: str, text: str, about: About) -> None:
        """A request could not be answered as asked."""
        ...


PATHS: Mapping[str, str] = {
    "/mutate/pods": "mutate-pods",
    "/mutate/scheduler-configs": "mutate-scheduler-configs",
    "/validate/workloads": "validate-workloads",
}
"""What is asked for, by path."""


class WebhookApp:
    """`POST /mutate/pods`, `/mutate/scheduler-configs` and `/validate/workloads`.

    A failure is answered with an allowed object and a warning. Where not even the uid of the request can be read, the
    status tells the API server to go by its failurePolicy.

    Args:
        admission: answers the reviews.
        max_body: largest request body in bytes.
        clock: seconds, monotonic.
        observer: see `AdmissionObserver`.
    """

    def __init__(
        self, admission: Admission, max_body: int, clock: Callable[[], float], observer: AdmissionObserver
    ) -> None:
        reviews = (admission.mutate_pod, admission.mutate_scheduler_config, admission.validate_workload)
        self._routes: Mapping[str, tuple[str, Review]] = {
            path: (verb, review) for (path, verb), review in zip(PATHS.items(), reviews, strict=True)
        }
        self._max_body = max_body
        self._clock = clock
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = self._clock()
        post = await read_post(scope, receive, send, self._routes, who="webhook")
        if post is None:
            return
        (verb, review), arriving = post
        try:
            body, whole = await arriving.read(self._max_body)
            if not whole:
                body = b""
                await arriving.forget(self._max_body)
        except ClientGoneError:
            return
        if not whole:
            text = f"spotmix: the review is larger than {self._max_body} bytes; raise webhook.maxBody"
            self._failed(verb, text)
            await respond(send, 413, f"{text}\n".encode(), TEXT, CLOSE)
            return
        verdict, fault = await self._verdict(review, body)
        if verdict is None:
            self._failed(verb, fault)
            await respond(send, 400, f"{fault}\n".encode(), TEXT)
        else:
            if verdict.failed:
                self._observer.failed(verb, fault, verdict.about)
            self._observer.admitted(verb, verdict.outcome, verdict.about)
            await respond(send, 200, verdict.encoded())
        self._observer.answered(verb, self._clock() - started)

    def _failed(self, verb: str, fault: str) -> None:
        self._observer.failed(verb, fault, UNKNOWN)
        self._observer.admitted(verb, "failed", UNKNOWN)

    @staticmethod
    async def _verdict(review: Review, body: bytes | bytearray) -> tuple[ReviewAnswer | None, str]:
        """The verdict, None when there is no uid to answer to; and what went wrong."""
        try:
            verdict = await review(body)
        except WireError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - no input may end the process; the fault is told in the answer
            fault = f"spotmix: internal error: {type(error).__name__}: {error}"
        else:
            return verdict, "; ".join(verdict.warnings) if verdict.failed else ""
        uid = read_uid(body)
        return (failure(uid, fault) if uid else None), fault
