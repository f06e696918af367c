"""AdmissionReviews in a line each, what is to be read of an answer, and JSON patches applied as RFC 6902 says."""

import base64
import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.model.objects import OwnerRef


class Status(Struct, forbid_unknown_fields=True):
    code: int
    message: str
    reason: str


class Response(Struct, forbid_unknown_fields=True, rename="camel"):
    """`AdmissionResponse`: none of these may be misspelt, and a patch comes with its type."""

    uid: str
    allowed: bool
    status: Status | None = None
    patch: str = ""
    patch_type: str = ""
    warnings: list[str] = []

    @property
    def operations(self) -> list[dict[str, Any]]:
        assert (self.patch_type == "JSONPatch") == bool(self.patch)
        found: list[dict[str, Any]] = json.loads(base64.b64decode(self.patch, validate=True)) if self.patch else []
        assert found or not self.patch, "a patch that changes nothing"
        return found


class Review(Struct, forbid_unknown_fields=True, rename="camel"):
    api_version: str
    kind: str
    response: Response


def answer(body: bytes) -> Response:
    """What the API server takes from an answer; anything else is refused."""
    review = msgspec.json.decode(body, type=Review)
    assert (review.api_version, review.kind) == ("admission.k8s.io/v1", "AdmissionReview")
    for warning in review.response.warnings:
        assert warning.isprintable()
        assert len(warning) <= 1000
    return review.response


def review(thing: Any, kind: str = "Pod", group: str = "", **request: Any) -> dict[str, Any]:
    """An AdmissionReview of the creation of `thing`, as the API server writes one."""
    meta = thing.get("metadata", {}) if isinstance(thing, Mapping) else {}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "review-1",
            "kind": {"group": group, "version": "v1", "kind": kind},
            "name": meta.get("name", ""),
            "namespace": "shop",
            "operation": "CREATE",
            "object": thing,
            "oldObject": None,
            "dryRun": False,
            **request,
        },
    }


def encoded(thing: Any, kind: str = "Pod", group: str = "", **request: Any) -> bytes:
    return json.dumps(review(thing, kind, group, **request)).encode()


def pod(owner: OwnerRef | None = None, name: str = "web-1-a", **spec: Any) -> dict[str, Any]:
    """A pod with what the API server fills in."""
    references = []
    if owner is not None:
        reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        references = [{**reference, "controller": True}]
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": "pod", "ownerReferences": references},
        "spec": {"containers": [{"name": "main", "image": "sim"}], "schedulerName": "default-scheduler", **spec},
    }


def patched(thing: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """`thing` with `add` and `replace` applied; a missing parent, or a value to replace that is not there, fails."""
    result = copy.deepcopy(thing)
    for operation in operations:
        *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        at = result
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if isinstance(at, list):
            assert (operation["op"], last) == ("add", "-")
            at.append(operation["value"])
        else:
            assert operation["op"] in ("add", "replace")
            assert operation["op"] == "add" or last in at
            at[last] = operation["value"]
    return result
