"""What cluster-autoscaler asks its expander `grpc`, as far as it is needed: see proto/grpcplugin/expander.proto.

A request holds each pod that waits and a node of each group whole, often twice, and a few fields of them matter.
Decoded as it stands it would take many times its size, and whoever reaches the port may send one: so its fields are
walked one by one, most are passed over, and there is an end to them.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence

from msgspec import Struct

from extender.core.model.errors import BusyError, WireError
from extender.core.placement.node_groups import NodeGroup, Wanting

MOST_FIELDS = 200_000
"""Fields of one request that are looked at: a second or less."""
STEP = 50
"""Pods that are read between two pauses."""
LISTED = 2_000
"""Fields of an option that are passed over between two pauses."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Value = int | memoryview
_REQUEST_OPTIONS, _REQUEST_NODES, _REQUEST_NODES_AS_BYTES = 1, 2, 3
_OPTION_GROUP, _OPTION_DEBUG, _OPTION_PODS, _OPTION_PODS_AS_BYTES = 1, 3, 4, 5
_METADATA, _LABELS, _ANNOTATIONS, _OWNERS = 1, 11, 12, 13
_OWNER_UID, _OWNER_CONTROLS = 4, 6


class Option(Struct, frozen=True, gc=False):
    """A node group that could be enlarged: its name, its pods as they came, and what an answer says of it."""

    group: str
    pods: Sequence[memoryview]
    answer: bytes


class Question(Struct, frozen=True):
    """A request: the options in order, and the nodes as they came, by group."""

    options: Sequence[Option]
    nodes: Mapping[str, memoryview]


class Reader:
    """Reads one request.

    Args:
        data: the message `BestOptionsRequest`.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._left = MOST_FIELDS

    def question(self) -> Generator[None, None, Question]:
        """What is asked for, read in steps, without a look at pods and nodes.

        Raises:
            WireError: the message is malformed.
            BusyError: it has too many fields.
        """
        options, nodes = [], {}
        for number, value in self._fields(self._data):
            if number == _REQUEST_OPTIONS:
                options.append((yield from self._option(_part(value))))
            elif number in (_REQUEST_NODES, _REQUEST_NODES_AS_BYTES):
                key, node = self._entry(_part(value))
                nodes[_text(key)] = node
        return Question(options, nodes)

    def groups(self, question: Question, class_key: str) -> Generator[None, None, Sequence[NodeGroup]]:
        """The node groups of a question, read in steps; `class_key` is the annotation that has a pod's class.

        Raises:
            WireError: a pod or a node is malformed.
            BusyError: they have too many fields.
        """
        # A pod is in the options of all groups that would take it.
        read: dict[bytes, Wanting] = {}
        groups = []
        for option in question.options:
            pods = set()
            for count, pod in enumerate(option.pods):
                if count % LISTED == 0:
                    yield
                raw = bytes(pod)
                if raw not in read:
                    if len(read) % STEP == 0:
                        yield
                    read[raw] = self._pod(pod, class_key)
                pods.add(read[raw])
            node = question.nodes.get(option.group)
            groups.append(NodeGroup(option.group, self._labels(node) if node is not None else None, pods))
        return groups

    def _option(self, data: memoryview) -> Generator[None, None, Option]:
        group, answer = "", bytearray()
        pods: list[memoryview] = []
        pods_as_bytes: list[memoryview] = []
        for count, (number, value) in enumerate(self._fields(data)):
            if count % LISTED == 0:
                yield
            if number == _OPTION_PODS:
                pods.append(_part(value))
            elif number == _OPTION_PODS_AS_BYTES:
                pods_as_bytes.append(_part(value))
            elif number <= _OPTION_DEBUG:
                answer += _encoded(number, value)
                group = _text(_part(value)) if number == _OPTION_GROUP else group
        return Option(group, pods_as_bytes or pods, bytes(answer))

    def _entry(self, data: memoryview) -> tuple[memoryview, memoryview]:
        """Key and value of an entry of a map."""
        entry: dict[int, _Value] = dict(self._fields(data))
        return _part(entry.get(1, _NOTHING)), _part(entry.get(2, _NOTHING))

    def _pod(self, data: memoryview, class_key: str) -> Wanting:
        owner = capacity_class = ""
        for number, value in self._metadata(data):
            if number == _OWNERS:
                said: dict[int, _Value] = dict(self._fields(_part(value)))
                if said.get(_OWNER_CONTROLS):
                    owner = _text(_part(said.get(_OWNER_UID, _NOTHING)))
            elif number == _ANNOTATIONS:
                key, text = self._entry(_part(value))
                if key == class_key.encode():
                    capacity_class = _text(text)
        return Wanting(owner, capacity_class)

    def _labels(self, node: memoryview) -> Mapping[str, str]:
        entries = [self._entry(_part(value)) for number, value in self._metadata(node) if number == _LABELS]
        return {_text(key): _text(value) for key, value in entries}

    def _metadata(self, data: memoryview) -> Iterator[tuple[int, _Value]]:
        for number, value in self._fields(data):
            if number == _METADATA:
                yield from self._fields(_part(value))
                # It comes first, and what follows is long.
                return

    def _fields(self, data: memoryview) -> Iterator[tuple[int, _Value]]:
        """Number and value of each field of a message."""
        at, end = 0, len(data)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise BusyError(f"the request has more than {MOST_FIELDS} fields to look at")
            tag, at = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                value, at = _varint(data, at)
                yield number, value
                continue
            if kind == _BYTES:
                length, at = _varint(data, at)
            elif kind in (_FIXED32, _FIXED64):
                length = 4 if kind == _FIXED32 else 8
            else:
                raise WireError(f"field {number} is of wire type {kind}, which no message here has")
            if length > end - at or not number:
                raise WireError(f"field {number} has {length} bytes where {end - at} are left")
            yield number, data[at : at + length]
            at += length


def answer_of(options: Sequence[Option]) -> bytes:
    """The message `BestOptionsResponse`: the options without their pods, which nobody reads."""
    return b"".join(_encoded(1, option.answer) for option in options)


_NOTHING = memoryview(b"")


def _part(value: _Value) -> memoryview:
    if isinstance(value, int):
        raise WireError(f"a field is the number {value}, and has to be a text or a message")
    return value


def _text(value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"a text is not UTF-8: {error}") from error


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = shift = 0
    for index in range(at, min(at + 10, len(data))):
        byte = data[index]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, index + 1
        shift += 7
    raise WireError(f"a number at byte {at} has no end")


def _encoded(number: int, value: int | memoryview | bytes) -> bytes:
    """A field as it is sent."""
    if isinstance(value, int):
        return _number(number << 3 | _VARINT) + _number(value)
    return _number(number << 3 | _BYTES) + _number(len(value)) + bytes(value)


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
