"""People who signed in with a browser: their tokens stay here, and the browser holds a number that means nothing."""

import asyncio
import secrets
from collections import OrderedDict

from msgspec import Struct

COOKIE = "spotmix-session"
LASTS = 8 * 3600.0
"""A session ends after this (seconds), whatever happens in it; the token may end it sooner."""
IDLE = 3600.0
"""A session in which nothing is asked for so long has ended (seconds)."""
MOST = 1000
MOST_OF_ONE = 20
"""Sessions in all, and of one user: of more, those that have not been used for longest have ended."""


class _Session(Struct):
    user: str
    token: str
    form: str
    opened: float
    used: float


class Sessions:
    """Sessions by their number, those in memory alone. Lost with the process: people sign in again."""

    def __init__(self) -> None:
        # That used last comes last.
        self._open: OrderedDict[str, _Session] = OrderedDict()

    def open(self, user: str, token: str) -> str:
        """Begin a session; its number."""
        now = asyncio.get_running_loop().time()
        self._expire(now)
        own = [number for number, session in self._open.items() if session.user == user]
        for number in own[: max(0, len(own) + 1 - MOST_OF_ONE)]:
            del self._open[number]
        while len(self._open) >= MOST:
            self._open.popitem(last=False)
        number = secrets.token_urlsafe(32)
        self._open[number] = _Session(user, token, secrets.token_urlsafe(16), now, now)
        return number

    def token(self, number: str) -> str:
        """The token of a session, which is thereby used; empty when there is none, or it has ended."""
        now = asyncio.get_running_loop().time()
        self._expire(now)
        session = self._open.get(number)
        if session is None:
            return ""
        session.used = now
        self._open.move_to_end(number)
        return session.token

    def form(self, number: str) -> str:
        """What forms of a session's pages have to send back, which no other site knows; empty when there is none."""
        session = self._open.get(number)
        return session.form if session is not None else ""

    def close(self, number: str) -> None:
        """End a session."""
        self._open.pop(number, None)

    def _expire(self, now: float) -> None:
        for number in [
            number for number, each in self._open.items() if now - min(each.used + IDLE, each.opened + LASTS) >= 0
        ]:
            del self._open[number]


def cookie(number: str, *, secure: bool) -> bytes:
    """What makes a browser hold the number of a session, or forget it when it is empty."""
    parts = [f"{COOKIE}={number}", "Path=/console", "HttpOnly", "SameSite=Strict"]
    if secure:
        parts.append("Secure")
    if not number:
        parts.append("Max-Age=0")
    return "; ".join(parts).encode()


def number_in(header: str) -> str:
    """The number of a session in a Cookie header; empty when there is none."""
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
