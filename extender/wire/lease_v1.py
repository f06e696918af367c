"""The Lease of `coordination.k8s.io/v1`, as leader election uses it.

Every field may be absent or null: a Lease may be made by hand, or be meant for something else.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from extender.core.model.errors import WireError


class LeaseSpec(Struct, frozen=True, rename="camel"):
    """Who holds a Lease and since when. Times are kept as they are written: nobody compares clocks of two machines."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Metadata(Struct, frozen=True, rename="camel"):
    resource_version: str | None = None
    annotations: dict[str, str] | None = None


class _Lease(Struct, frozen=True):
    metadata: _Metadata | None = None
    spec: LeaseSpec | None = None


_decoder = msgspec.json.Decoder(_Lease)
_schedulers = msgspec.json.Decoder(dict[str, bool])
_NOTHING = LeaseSpec()


def decode_lease(body: bytes) -> tuple[LeaseSpec, str]:
    """The spec and the resourceVersion of a Lease.

    Raises:
        WireError: the body is no Lease; the text names the field.
    """
    try:
        lease = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"the Lease does not decode: {error}") from error
    return lease.spec or _NOTHING, (lease.metadata.resource_version if lease.metadata else None) or ""


def note_on(body: bytes, key: str) -> str:
    """An annotation of a Lease that decodes; empty where it has none of the key."""
    metadata = _decoder.decode(body).metadata
    return (metadata.annotations or {}).get(key, "") if metadata is not None else ""


def encode_schedulers(asks: Mapping[str, bool]) -> str:
    """Which schedulers ask the extender, as the leader notes it on its Lease for the others."""
    return msgspec.json.encode(dict(asks)).decode()


def decode_schedulers(text: str) -> dict[str, bool]:
    """What such a note says; nothing where it is none."""
    try:
        return _schedulers.decode(text) if text else {}
    except msgspec.DecodeError:
        return {}


def micro_time(moment: datetime) -> str:
    """A time as a MicroTime is written: RFC 3339 in UTC, with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
