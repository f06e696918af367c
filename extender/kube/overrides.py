"""What is asked for beside a kubeconfig, as options of kubectl: other entries of it, and to act as somebody else.

The official package leaves out a kubeconfig's `as`, `as-groups`, `as-uid` and `as-user-extra`, so they are read here
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from extender.core.model.errors import ConfigError

# What a header's name may have beside letters and digits (RFC 9110, token), but for the sign of the escape itself.
_TOKEN = "!#$&'*+-.^_`|~"  # noqa: S105 - no secret


class Impersonation(Struct, frozen=True):
    """Whom to act as; nobody else without a user.

    Attributes:
        user: name, also `system:serviceaccount:NAMESPACE:NAME`.
        groups: those of the user; where there are none, the API server knows those of service accounts alone.
        uid: of the user.
        extra: what authenticators add, by key.
    """

    user: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = {}

    def over(self, other: "Impersonation") -> "Impersonation":
        """What is given here, and what is not from `other`: field by field, as kubectl does it."""
        return Impersonation(
            self.user or other.user, self.groups or other.groups, self.uid or other.uid, self.extra or other.extra
        )

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of a request that say it.

        Raises:
            ConfigError: groups, UID or extra are given without a user, or a value has a line break.
        """
        given = [("Impersonate-Group", group) for group in self.groups]
        given += [("Impersonate-Uid", self.uid)] if self.uid else []
        for key, values in self.extra.items():
            given += [(f"Impersonate-Extra-{quote(key, safe=_TOKEN)}", value) for value in values]
        if given and not self.user:
            raise ConfigError("groups, UID and extra of somebody to act as need the user too; give --as")
        given = [("Impersonate-User", self.user), *given] if self.user else []
        for _, value in given:
            if not value.isprintable():
                raise ConfigError(
                    f"to act as {value!r} cannot be: a name has neither line breaks nor control characters"
                )
        return tuple(given)


class Overrides(Struct, frozen=True):
    """What counts in place of what the kubeconfig has.

    Attributes:
        cluster, user: names of entries to use instead of those of the context; empty for those.
        impersonation: whom to act as.
        timeout: seconds that a request may take; 0 for no limit, None for our own.
    """

    cluster: str = ""
    user: str = ""
    impersonation: Impersonation = Impersonation()
    timeout: float | None = None

    def context(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """A `contexts[].context`, with what counts in its place."""
        named = {"cluster": self.cluster, "user": self.user}
        return {**chosen, **{key: name for key, name in named.items() if name}}


def impersonation_of(user: Mapping[str, Any]) -> Impersonation:
    """Whom a `users[].user` of a kubeconfig says to act as.

    Raises:
        ConfigError: a field is none that a kubeconfig has.
    """
    name, uid = user.get("as") or "", user.get("as-uid") or ""
    groups, extra = user.get("as-groups") or [], user.get("as-user-extra") or {}
    if not isinstance(name, str) or not isinstance(uid, str):
        raise ConfigError(f"users[].user.as and as-uid are {name!r} and {uid!r}; write texts")
    if not _are_texts(groups):
        raise ConfigError(f"users[].user.as-groups is {groups!r}; write a list of texts")
    if not isinstance(extra, dict) or not all(isinstance(key, str) and _are_texts(extra[key]) for key in extra):
        raise ConfigError(f"users[].user.as-user-extra is {extra!r}; write lists of texts by key")
    return Impersonation(name, tuple(groups), uid, {key: tuple(values) for key, values in extra.items()})


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)
