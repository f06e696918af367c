"""What can be saved of a list page or watch line that holds an object which does not decode.

One bad object must cost no more than itself: not the page it came in, and not the delete it is about.
"""

import msgspec
from msgspec import Struct

from extender.core.model.errors import WireError
from extender.core.model.objects import Object
from extender.wire.watch import Decoder, Page


class _Meta(Struct, frozen=True, rename={"resource_version": "resourceVersion"}):
    uid: str = ""
    resource_version: str = ""


class _Item(Struct, frozen=True):
    metadata: _Meta = _Meta()


class _Line(Struct):
    type: str
    object: _Item


class _ListMeta(Struct, rename={"resource_version": "resourceVersion", "token": "continue"}):
    resource_version: str = ""
    token: str = ""


class _List(Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class SalvagedChange(Struct, frozen=True):
    """The envelope of a watch line; `uid` may be empty."""

    type: str
    uid: str
    resource_version: str


_line_decoder = msgspec.json.Decoder(_Line)
_list_decoder = msgspec.json.Decoder(_List)
_item_decoder = msgspec.json.Decoder(_Item)


def version_of(body: bytes) -> str:
    """The resourceVersion of a list page, whatever its objects are.

    Raises:
        WireError: it is no list.
    """
    try:
        return _list_decoder.decode(body).metadata.resource_version
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"this is no list: {error}") from error


def salvage_page(body: bytes, decoder: Decoder, error: WireError) -> tuple[Page, list[str]]:
    """Decode a page item by item: the page of the good ones, and the uids of the others.

    Raises:
        WireError: `error`, when not even the envelope decodes or the fault is in no item.
    """
    try:
        envelope = _list_decoder.decode(body)
    except msgspec.DecodeError:
        raise error from None
    objects: list[Object] = []
    lost: list[str] = []
    for raw in envelope.items or ():
        try:
            objects += decoder.page(b'{"metadata":{},"items":[' + bytes(raw) + b"]}").objects
        except WireError:
            lost.append(_uid(bytes(raw)))
    if not lost:
        raise error
    return Page(objects, envelope.metadata.resource_version, envelope.metadata.token), lost


def salvage_change(line: bytes, error: WireError) -> SalvagedChange:
    """Decode the envelope of a line.

    Raises:
        WireError: `error`, when that does not decode either.
    """
    try:
        decoded = _line_decoder.decode(line)
    except msgspec.DecodeError:
        raise error from None
    meta = decoded.object.metadata
    return SalvagedChange(decoded.type, meta.uid, meta.resource_version)


def _uid(raw: bytes) -> str:
    try:
        return _item_decoder.decode(raw).metadata.uid
    except msgspec.DecodeError:
        return ""


def object_version(body: bytes) -> str:
    """The resourceVersion of one object, whatever it is; empty where it has none."""
    try:
        return _item_decoder.decode(body).metadata.resource_version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
