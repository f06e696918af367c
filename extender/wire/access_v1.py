"""TokenReview and SubjectAccessReview: two questions to the API server, and its answers.

`authentication.k8s.io/v1` and `authorization.k8s.io/v1`; every field of an answer may be absent.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.model.access import GROUP, Attributes, PathRight, User
from extender.core.model.errors import WireError


class _UserInfo(Struct, frozen=True):
    username: str = ""
    uid: str = ""
    groups: Sequence[str] | None = None
    extra: dict[str, Sequence[str]] | None = None


class _TokenStatus(Struct, frozen=True):
    authenticated: bool = False
    user: _UserInfo | None = None
    error: str = ""


class _TokenReview(Struct, frozen=True):
    status: _TokenStatus | None = None


class _AccessStatus(Struct, frozen=True, rename="camel"):
    allowed: bool = False
    reason: str = ""
    evaluation_error: str = ""


class _AccessReview(Struct, frozen=True):
    status: _AccessStatus | None = None


_token_decoder = msgspec.json.Decoder(_TokenReview)
_access_decoder = msgspec.json.Decoder(_AccessReview)


def token_review(token: str) -> dict[str, Any]:
    """Ask whom a token belongs to."""
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}


def decode_token_review(body: bytes) -> tuple[User | None, str]:
    """The user, or None and what the API server says against the token.

    Raises:
        WireError: the body is no TokenReview; the text names the field.
    """
    try:
        status = _token_decoder.decode(body).status or _TokenStatus()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"the TokenReview does not decode: {error}") from error
    user = status.user
    if not status.authenticated or user is None or not user.username:
        return None, status.error
    extra = tuple((key, tuple(values)) for key, values in (user.extra or {}).items())
    return User(user.username, user.uid, tuple(user.groups or ()), extra), ""


def access_review(user: User, asked: Attributes | PathRight) -> dict[str, Any]:
    """Ask whether a user may."""
    spec = {
        "user": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra},
        **_asked(asked),
    }
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def _asked(asked: Attributes | PathRight) -> dict[str, dict[str, str]]:
    if isinstance(asked, PathRight):
        return {"nonResourceAttributes": {"verb": asked.verb, "path": asked.path}}
    resource = {"group": GROUP, "verb": asked.verb, "resource": asked.resource}
    if asked.namespace:
        resource["namespace"] = asked.namespace
    if asked.name:
        resource["name"] = asked.name
    return {"resourceAttributes": resource}


def decode_access_review(body: bytes) -> tuple[bool, str]:
    """Whether the user may, and what the authorizers say to it.

    Raises:
        WireError: the body is no SubjectAccessReview; the text names the field.
    """
    try:
        status = _access_decoder.decode(body).status or _AccessStatus()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"the SubjectAccessReview does not decode: {error}") from error
    return status.allowed, "; ".join(filter(None, (status.reason, status.evaluation_error)))
