"""Who asks, and whether they may: TokenReview and SubjectAccessReview, with short memories.

What the API server said is believed for as long as an API server that is asked through aggregation believes it
(`k8s.io/apiserver/pkg/server/options`: ten seconds for a token and for an allowed request), so that whoever loses a
right, or whose account is deleted, loses the view a moment later. A page that is loaded anew every five seconds, and
all that a browser fetches with it, costs two questions in ten seconds. A refusal is believed for three seconds: it
keeps a client that tries again and again off the API server, and somebody who has just been given a right waits no
longer than that. While the API server cannot be reached nobody is let in on the strength of an older answer.

Anybody who reaches our port can make us ask, under the same account as placement does: so questions have a rate,
and a number that may wait.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from msgspec import Struct

from extender.core.model.access import Attributes, PathRight, User
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated, WireError
from extender.kube.limits import TokenBucket
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi, Timing
from extender.wire.access_v1 import access_review, decode_access_review, decode_token_review, token_review

__all__ = ["Access", "Attributes", "Forbidden", "Unauthenticated", "User"]

TOKEN_REVIEWS = api_path("authentication.k8s.io", "v1", "tokenreviews")
ACCESS_REVIEWS = api_path("authorization.k8s.io", "v1", "subjectaccessreviews")

ALLOWED_SECONDS = 10.0
DENIED_SECONDS = 3.0
ANSWER_SECONDS = 10.0
"""How long the API server has to answer one question."""

MOST_KEPT = 2000
"""Answers of a kind that are remembered; whoever is refused cannot push out what is known of those who are not."""
MOST_ASKED = 200
"""Questions that are under way or wait for their turn."""
RATE, BURST = 50.0, 100
"""Questions per second, and at once."""
LONGEST = 16_384
"""Characters of a token: what HTTP servers commonly take as a header."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Said(Struct, Generic[V], frozen=True):
    """An answer: `value` when it is yes, else why not."""

    value: V | None
    why: str = ""


class _Memory(Generic[K, V]):
    """Answers, each kept for a while, and asked for once however many want it at the same time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Every answer of one of these is kept equally long: the oldest comes first.
        self._yes: dict[K, tuple[float, _Said[V]]] = {}
        self._no: dict[K, tuple[float, _Said[V]]] = {}
        self._asked: dict[K, asyncio.Task[_Said[V] | ApiError]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[_Said[V]]]) -> _Said[V]:
        """The answer to `key`; `ask` gets it. Raises `ApiError` when there is none, which is not remembered."""
        for kept in (self._yes, self._no):
            found = kept.get(key)
            if found is not None and self._clock() < found[0]:
                return found[1]
        task = self._asked.get(key)
        if task is None:
            if len(self._asked) >= MOST_ASKED:
                raise ApiError("as many questions of access as may be are under way", reason="TooManyRequests")
            # A task of its own: whoever asked first may leave, and others wait for the same.
            task = self._asked[key] = asyncio.create_task(self._ask(key, ask))
        said = await asyncio.shield(task)
        if isinstance(said, ApiError):
            raise said
        return said

    async def _ask(self, key: K, ask: Callable[[], Awaitable[_Said[V]]]) -> _Said[V] | ApiError:
        try:
            said = await ask()
        except ApiError as error:
            # As a value: when all who wanted it have left, nobody takes an exception out of the task.
            return error
        finally:
            del self._asked[key]
        yes = said.value is not None
        self._keep(self._yes if yes else self._no, key, said, ALLOWED_SECONDS if yes else DENIED_SECONDS)
        return said

    def _keep(self, kept: dict[K, tuple[float, _Said[V]]], key: K, said: _Said[V], seconds: float) -> None:
        now = self._clock()
        # At the end of the order, also when it was there.
        kept.pop(key, None)
        kept[key] = now + seconds, said
        while len(kept) > MOST_KEPT or next(iter(kept.values()))[0] <= now:
            del kept[next(iter(kept))]


class Access:
    """Asks the API server who somebody is and what they may.

    Tokens are neither kept nor told: what is remembered goes by their SHA-256.

    Args:
        api: the API client; its account needs `create` on tokenreviews and subjectaccessreviews.
        timing: where time comes from.
    """

    def __init__(self, api: KubeApi, *, timing: Timing | None = None) -> None:
        self._api = api
        timing = timing or Timing()
        self._bucket = TokenBucket(RATE, BURST, timing)
        self._users: _Memory[bytes, User] = _Memory(timing.clock)
        self._rights: _Memory[tuple[bytes, Attributes | PathRight], bool] = _Memory(timing.clock)

    async def who(self, token: str) -> User:
        """Whom a token belongs to, whatever they may.

        Raises:
            Unauthenticated: no token, or not one that the API server accepts.
            ApiError: the API server did not answer, or not us.
        """
        if not token:
            raise Unauthenticated("no token was given; send one as `Authorization: Bearer TOKEN`")
        if len(token) > LONGEST or not all("!" <= character <= "~" for character in token):
            raise Unauthenticated("this is no token: it is too long, or has characters that no token has")
        said = await self._users.get(_digest(token), partial(self._review, token))
        if said.value is None:
            raise Unauthenticated(said.why)
        return said.value

    async def allow(self, token: str, attributes: Attributes | PathRight) -> User:
        """Whom a token belongs to, if they may.

        Raises:
            Unauthenticated: no token, or not one that the API server accepts.
            Forbidden: they may not; the text names the right.
            ApiError: the API server did not answer, or not us.
        """
        user = await self.who(token)
        said = await self._rights.get((_digest(token), attributes), partial(self._authorize, user, attributes))
        if said.value is None:
            raise Forbidden(said.why)
        return user

    async def _review(self, token: str) -> _Said[User]:
        body = await self._post(TOKEN_REVIEWS, token_review(token), token)
        user, error = _decoded(decode_token_review, body)
        if user is None:
            said = error.replace(token, "…") or "it is not valid"
            return _Said(None, f"the API server does not accept the token: {said}")
        return _Said(user)

    async def _authorize(self, user: User, attributes: Attributes | PathRight) -> _Said[bool]:
        body = await self._post(ACCESS_REVIEWS, access_review(user, attributes))
        allowed, reason = _decoded(decode_access_review, body)
        if allowed:
            return _Said(value=True)
        return _Said(None, f'user "{user.name}" cannot {attributes}{f": {reason}" if reason else ""}')

    async def _post(self, path: str, review: dict[str, object], secret: str = "") -> bytes:
        await self._bucket.take()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._api.request("POST", path, body=review)
        except TimeoutError as error:
            raise ApiError(f"POST {path}: no answer within {ANSWER_SECONDS:.0f} s", reason="Timeout") from error
        except ApiError as error:
            if secret and secret in str(error):
                text = str(error).replace(secret, "…")
                raise ApiError(text, status=error.status, reason=error.reason) from None
            raise


S = TypeVar("S")


def _decoded(decode: Callable[[bytes], S], body: bytes) -> S:
    try:
        return decode(body)
    except WireError as error:
        raise ApiError(str(error), reason="BadAnswer") from error


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
