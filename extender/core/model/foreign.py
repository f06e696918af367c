"""Text that others wrote, as people are shown it: names, kinds, annotations, messages, errors.

Whoever may make an object in the cluster chooses them. On a terminal some characters are commands, some change the
order of what is read, and a line break makes a line that nobody of ours wrote. Here they become visible.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any

LONGEST = 2048
"""Characters of a text that are shown; Kubernetes' own names have 253 at most."""
MOST_LINES = 500
"""Lines that are shown of a text of several, such as a traceback."""

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that show nothing, though Unicode calls them printable."""
_NO_WIDTH = ("Mn", "Me")
"""Categories of characters that are drawn over those before them."""


def plain(character: str) -> bool:
    """Whether a character stands for itself alone, where it is."""
    if character.isascii():
        return character.isprintable()
    return character.isprintable() and character not in _BLANK and unicodedata.category(character) not in _NO_WIDTH


def shown(text: str, most: int = LONGEST) -> str:
    r"""A text on one line: what is not plain as Python writes it (`\x1b`, `\u202e`, `\n`), and no more than `most`."""
    cut = text[:most]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(each if plain(each) else ascii(each)[1:-1] for each in cut)
        cut = cut[:most]
    return cut if len(text) <= most else f"{cut} .. ({len(text) - most} characters more)"


def shown_lines(text: str, most: int = LONGEST) -> str:
    """A text of several lines, each of them shown, and no more than `MOST_LINES`."""
    lines = text.split("\n", MOST_LINES)
    told = [shown(line, most) for line in lines[:MOST_LINES]]
    return "\n".join([*told, ".. (more lines)"] if len(lines) > MOST_LINES else told)


def shown_within(value: Any) -> Any:
    """A value in which every text is shown, also those in dicts, lists and tuples, and what is of another kind."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {shown(str(key)): shown_within(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown_within(each) for each in value]
    return shown(value if isinstance(value, str) else repr(value))


def json_escaped(character: str) -> str:
    """A character of a JSON text as JSON itself writes what it escapes."""
    if ord(character) < 0x10000:
        return f"\\u{ord(character):04x}"
    high, low = divmod(ord(character) - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
