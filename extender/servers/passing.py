"""Requests too large to be kept, for pods that go anywhere: the answer is the request without its Pod.

A scheduler with `nodeCacheCapable: false` sends every node in full and wants those back that pass. For the pods of
others that must work in a cluster of any size, or it could not even start.
"""

import codecs
import zlib
from collections.abc import Iterator

from extender.core.model.errors import WireError

_PART = 256 * 1024


class Passing:
    """An answer that becomes what is added to it, kept compressed until it is sent: nodes are much alike.

    Args:
        most: bytes of memory that it may take.

    Attributes:
        length: bytes of the answer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pack = zlib.compressobj(1)
        self._packed: list[bytes] = []
        self._kept = 0
        self._text = codecs.getincrementaldecoder("utf-8")()
        self._last = b""
        self.length = 1

    def add(self, data: bytes) -> None:
        """Add what has arrived.

        Raises:
            WireError: it takes more memory than it may, or is no text.
        """
        try:
            self._text.decode(data)
        except UnicodeDecodeError as error:
            raise WireError("spotmix: the request is not UTF-8") from error
        packed = self._pack.compress(data)
        self._packed.append(packed)
        self._kept += len(packed)
        self.length += len(data)
        self._last = (self._last + data[-8:]).rstrip()[-1:] or self._last
        if self._kept > self._most:
            raise WireError(f"spotmix: the request takes more than {self._most} bytes when compressed")

    def finish(self) -> None:
        """Nothing follows.

        Raises:
            WireError: what was added has no end.
        """
        if self._last != b"}":
            raise WireError("spotmix: the request does not decode: it has no end")
        self._packed.append(self._pack.flush())

    def parts(self) -> Iterator[bytes]:
        """The answer, in pieces."""
        unpack = zlib.decompressobj()
        yield b"{"
        for packed in self._packed:
            rest = packed
            while rest:
                yield unpack.decompress(rest, _PART)
                rest = unpack.unconsumed_tail
        yield unpack.flush()
