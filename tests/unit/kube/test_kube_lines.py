"""Lines of a stream, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.model.errors import WireError
from extender.kube.lines import LineSplitter


@given(st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b)), st.data())
def test_lines_survive_any_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    splitter = LineSplitter()
    out: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += splitter.feed(stream[start:end])
    assert out == lines
    assert splitter.pending == 0


def test_an_unfinished_line_is_pending_and_blank_lines_are_none() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"\n\na\nbc") == [b"a"]
    assert splitter.pending == 2


def test_a_line_beyond_the_limit_is_an_error() -> None:
    splitter = LineSplitter(limit=10)
    splitter.feed(b"12345678")
    with pytest.raises(WireError, match="longer than 10 bytes"):
        splitter.feed(b"123")
