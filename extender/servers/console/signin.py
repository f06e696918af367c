"""Signing in and out: the two forms of the console, and what those see who may not see what they asked for."""

import secrets
from collections.abc import Callable
from urllib.parse import parse_qsl

from extender.core.model.errors import ApiError, Forbidden, SpotmixError, Unauthenticated
from extender.servers.asgi import BodyTooLargeError, ClientGoneError, Receive, Scope, read_body
from extender.servers.console.access import NAMESPACE, PageAccess, Visitor, header
from extender.servers.console.pages import Context
from extender.servers.console.query import Query
from extender.servers.console.sessions import cookie, number_in

SIGN_IN, SIGN_OUT = "sign-in", "sign-out"
HOME = "/console"
LIMIT = 64 * 1024
"""Bytes of a form: the longest token, and where to go with it."""

CONFINED = ("", "live", "plan")
"""Pages that can be confined to a namespace."""

Headers = dict[bytes, bytes]
Answer = tuple[int, str, Context, Headers]
"""Status, template and context, and further headers."""


class SignIn:
    """Answers the forms.

    Args:
        gate: knows who may.
        report: told when the API server does not say who somebody is.
    """

    def __init__(self, gate: PageAccess, report: Callable[[str, str], None]) -> None:
        self._gate = gate
        self._report = report

    async def enter(self, scope: Scope, receive: Receive) -> Answer:
        """Sign in with the token of the form."""
        fields = await _fields(scope, receive, "Not signed in")
        if not isinstance(fields, dict):
            return fields
        then = _local(fields.get("next", ""))
        token = fields.get("token", "").strip().removeprefix("Bearer ").strip()
        if not token:
            return _form(401, then, "give a token")
        try:
            number = await self._gate.sign_in(token)
        except (Unauthenticated, ApiError) as error:
            return self.refused(error, then)
        self._gate.sessions.close(number_in(header(scope, b"cookie")))
        return _go(then, {b"set-cookie": cookie(number, secure=_secure(scope))})

    async def leave(self, scope: Scope, receive: Receive) -> Answer:
        """Sign out, by the form of a page of the session: another site does not know what is in it."""
        fields = await _fields(scope, receive, "Not signed out")
        if not isinstance(fields, dict):
            return fields
        number = number_in(header(scope, b"cookie"))
        form = self._gate.sessions.form(number)
        if form and not secrets.compare_digest(form.encode(), fields.get("form", "").encode()):
            return _plainly(403, "Not signed out", "This form is not of your session; go back and sign out there.")
        self._gate.sessions.close(number)
        return _go(HOME, {b"set-cookie": cookie("", secure=_secure(scope))})

    def refused(self, error: SpotmixError, then: str) -> Answer:
        """What those see who may not see `then`, or of whom it is not known."""
        if isinstance(error, Unauthenticated):
            return _form(401, then, str(error))
        self._report("access", str(error))
        text = (
            "Whether you may see this is not known now: the API server does not answer, or Spotmix may not ask it. "
            "Spotmix's log says which. Try again in a moment."
        )
        status, template, context, headers = _plainly(503, "Not known who you are", text)
        return status, template, context, {**headers, b"retry-after": b"5"}

    @staticmethod
    def asked(then: str) -> Answer:
        """The form, for whoever asks for it."""
        return _form(200, _local(then), "")


def forbidden(error: Forbidden, page: str, query: Query) -> Answer:
    """What somebody sees who may not see a page."""
    narrow = page in CONFINED and not query.text(NAMESPACE)
    context = {"title": "You may not see this", "text": f"{error}.", "narrow": narrow}
    return 403, "forbidden.html", context, {}


def visitor_context(visitor: Visitor, query: Query) -> Context:
    """What every page says of who looks, and of what it is confined to."""
    return {"visitor": visitor, "namespace": query.text(NAMESPACE)}


def _form(status: int, then: str, why: str) -> Answer:
    headers = {b"www-authenticate": b'Bearer realm="spotmix"'} if status == 401 else {}
    return status, "sign-in.html", {"then": then, "why": why}, headers


def _plainly(status: int, title: str, text: str) -> Answer:
    return status, "missing.html", {"title": title, "text": text}, {}


def _go(where: str, headers: Headers) -> Answer:
    return (
        303,
        "missing.html",
        {"title": "Go on", "text": "Go on to the console."},
        {**headers, b"location": where.encode()},
    )


def _local(then: str) -> str:
    """An address of the console, and of no other site."""
    ours = then == HOME or then.startswith((f"{HOME}/", f"{HOME}?"))
    plain = all("!" <= character <= "~" and character != "\\" for character in then)
    return then if ours and plain and len(then) < 2000 and SIGN_IN not in then else HOME


def _secure(scope: Scope) -> bool:
    """Whether the browser came by TLS: to us, or to the proxy in front of us."""
    return "https" in (scope.get("scheme"), header(scope, b"x-forwarded-proto").partition(",")[0])


async def _fields(scope: Scope, receive: Receive, failed: str) -> dict[str, str] | Answer:
    """What a form of ours has sent, or what is to be said of a request that is none: its title is `failed`."""
    if _foreign(scope):
        return _plainly(403, failed, "This form was sent from another site; use the one of this console.")
    try:
        body = await read_body(scope, receive, LIMIT)
    except BodyTooLargeError:
        return _plainly(413, failed, "That is longer than any token.")
    except ClientGoneError:
        return _plainly(400, failed, "The request was not complete.")
    try:
        return dict(parse_qsl(body.decode("latin-1"), errors="replace", max_num_fields=10))
    except ValueError:
        return {}


def _foreign(scope: Scope) -> bool:
    """Whether a browser says that another site sent a form. What is no browser says nothing, and has no cookies.

    A proxy may have replaced the name that the browser asked for, and then says which it was.
    """
    if header(scope, b"sec-fetch-site") not in ("", "same-origin", "none"):
        return True
    origin = header(scope, b"origin")
    ours = {header(scope, b"host"), header(scope, b"x-forwarded-host").partition(",")[0].strip()} - {""}
    return bool(origin) and origin.partition("://")[2].lower() not in {name.lower() for name in ours}
