"""Who may look at what: whom a request comes from, and which right each page asks for.

Pages ask for what the API asks for when it says the same. With one namespace in its address a page shows that alone,
and asks for the right in it.
"""

from collections.abc import Sequence
from urllib.parse import unquote

from msgspec import Struct

from extender.core.model import access
from extender.core.model.access import Attributes
from extender.core.model.errors import Unauthenticated
from extender.servers.answers.sources import Authorizer
from extender.servers.asgi import Scope
from extender.servers.console.query import Query
from extender.servers.console.sessions import Sessions, number_in

NAMESPACE = "namespace"
"""The field of an address that confines a page."""


class Visitor(Struct, frozen=True):
    """Who looks. `name` is empty when nobody is asked for it; `form` is the token of the forms of their session.

    It is empty where they have not signed in here.
    """

    name: str
    form: str


ANYBODY = Visitor("", "")


def right_of(path: Sequence[str], query: Query) -> Attributes | None:
    """The right that a page asks for; None for one that does not exist."""
    namespace = query.text(NAMESPACE)
    match [unquote(part) for part in path]:
        case [""]:
            return access.list_workloads(namespace)
        case ["workloads", of, _, name]:
            return access.get_workload(of, name)
        case ["pods", of, name]:
            return access.get_pod(of, name)
        case ["nodes"]:
            return access.list_nodes()
        case ["live"] | ["live", "stream"]:
            return access.watch_decisions(namespace)
        case ["plan"]:
            return access.get_plan(namespace)
    return None


class PageAccess:
    """Lets visitors in.

    Args:
        authorizer: knows tokens and rights; None lets everybody in.
    """

    def __init__(self, authorizer: Authorizer | None) -> None:
        self.sessions = Sessions()
        self._authorizer = authorizer

    @property
    def open(self) -> bool:
        """Whether nobody is asked who they are."""
        return self._authorizer is None

    async def who(self, scope: Scope) -> Visitor:
        """Whom a request comes from.

        Raises:
            Unauthenticated: it is not known.
            ApiError: the API server does not say.
        """
        if self._authorizer is None:
            return ANYBODY
        token, number = self._token(scope)
        return Visitor((await self._authorizer.who(token)).name, self.sessions.form(number))

    async def check(self, scope: Scope, right: Attributes) -> None:
        """Return if whom a request comes from has a right.

        Raises:
            Unauthenticated: it is not known who asks.
            Forbidden: they may not.
            ApiError: the API server does not say.
        """
        if self._authorizer is not None:
            token, _ = self._token(scope)
            await self._authorizer.allow(token, right)

    async def sign_in(self, token: str) -> str:
        """Begin a session of whom the token belongs to; its number.

        Raises:
            Unauthenticated: the token is not accepted.
            ApiError: the API server does not say.
        """
        if self._authorizer is None:
            raise Unauthenticated("nobody signs in where everybody may look")
        user = await self._authorizer.who(token)
        return self.sessions.open(user.name, token)

    def _token(self, scope: Scope) -> tuple[str, str]:
        """The token that a request has, and the number of the session that it is of. A proxy's word comes first."""
        scheme, _, token = header(scope, b"authorization").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                raise Unauthenticated("the Authorization header is not of the form `Bearer TOKEN`")
            return token.strip(), ""
        number = number_in(header(scope, b"cookie"))
        token = self.sessions.token(number)
        if number and not token:
            raise Unauthenticated("your session has ended")
        return token, number


def header(scope: Scope, name: bytes) -> str:
    """A header of a request, the first of its name; empty when there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
