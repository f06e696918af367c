"""Paths of the Kubernetes API. Nothing else may put one together: names come from objects and requests of others.

A name that holds a slash, a question mark or two dots would lead to another object than the one that is meant, under
our rights. So every part has to be what the API takes for it (RFC 1123), and what is not leads nowhere.
"""

import re
from typing import NamedTuple

from extender.core.model.errors import ApiError

GROUPS_PATH = "/apis"
"""The list of API groups."""

BAD_NAME = "BadName"
"""Reason of the `ApiError` for a part that the API has no place for."""

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_label = re.compile(_LABEL)
# The parts of a name of an object may be longer than labels of DNS are.
_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_subdomain = re.compile(rf"{_PART}(?:\.{_PART})*")
_MAX_SUBDOMAIN = 253


def is_object_name(text: str) -> bool:
    """Whether an object of the kinds that we ask for can have this name (a DNS subdomain)."""
    return len(text) <= _MAX_SUBDOMAIN and _subdomain.fullmatch(text) is not None


def api_path(
    group: str,
    version: str | None = None,
    plural: str | None = None,
    *,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
) -> str:
    """The path of a group, of a version, of a list, of an object or of a subresource: what is None is left out.

    `api_path("", "v1", "pods", namespace="shop", name="web-0", subresource="eviction")` is
    `/api/v1/namespaces/shop/pods/web-0/eviction`. The core group is empty.

    Raises:
        ApiError: a part is none that the API could have, with reason `BAD_NAME`.
    """
    path = f"/apis/{_checked('API group', group, subdomain=True)}" if group else "/api"
    if version is not None:
        path += f"/{_checked('API version', version)}"
    if namespace is not None:
        path += f"/namespaces/{_checked('namespace', namespace)}"
    if plural is not None:
        path += f"/{_checked('resource', plural)}"
    if name is not None:
        path += f"/{_checked('name', name, subdomain=True)}"
    if subresource is not None:
        path += f"/{_checked('subresource', subresource)}"
    return path


class PathSubject(NamedTuple):
    """What a path leads to.

    `resource` is in the plural, with its group behind a dot and its subresource behind a slash, as RBAC writes them:
    `pods`, `deployments.apps`, `pods/eviction`; empty where it is none of objects. `named`: one object of it.
    """

    resource: str
    named: bool


def subject_of(path: str) -> PathSubject:
    """What a path that `api_path` has made leads to."""
    _, root, *parts = path.split("/")
    group = parts.pop(0) if root == "apis" and parts else ""
    # The version; then perhaps the namespace that something is in, which may be a Namespace itself.
    parts = parts[1:]
    if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in ("status", "finalize"):
        parts = parts[2:]
    if not parts or root not in ("api", "apis"):
        return PathSubject("", named=False)
    resource = f"{parts[0]}.{group}" if group else parts[0]
    return PathSubject("/".join((resource, *parts[2:3])), named=len(parts) > 1)


def _checked(what: str, text: str, *, subdomain: bool = False) -> str:
    if is_object_name(text) if subdomain else _label.fullmatch(text) is not None:
        return text
    raise ApiError(f"{what} {text[:100]!r}: the API has nothing of such a name", status=400, reason=BAD_NAME)
