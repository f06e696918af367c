"""Lines out of the chunks of a watch."""

from extender.core.model.errors import WireError

# etcd refuses objects above 1.5 MiB by default; a line holds one, and JSON escapes may stretch it.
MAX_LINE = 32 * 1024 * 1024


class LineSplitter:
    """Cuts a stream of chunks into lines without their newline, however long and wherever they are cut.

    The pieces of an unfinished line are kept apart and joined once, so a line of n chunks costs O(n).
    """

    __slots__ = ("_held", "_limit", "_pieces")

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the lines that `chunk` completes; blank ones are left out.

        Raises:
            WireError: an unfinished line is longer than the limit (bytes).
        """
        lines = chunk.split(b"\n")
        tail = lines.pop()
        if self._pieces and lines:
            self._pieces.append(lines[0])
            lines[0] = b"".join(self._pieces)
            self._pieces.clear()
            self._held = 0
        if tail:
            self._pieces.append(tail)
            self._held += len(tail)
            if self._held > self._limit:
                raise WireError(f"a watch line is longer than {self._limit} bytes; no Kubernetes object is")
        return [line for line in lines if line]

    @property
    def pending(self) -> int:
        """Bytes of the unfinished line."""
        return self._held
