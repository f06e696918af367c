"""What an address asks for: words to search for, an order, a page; and addresses that ask for something else."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct

PER_PAGE = 50
MAX_TEXT = 200
MAX_FIELDS = 20

T = TypeVar("T")


class Query(Struct, frozen=True):
    """The fields of a query string, the last of each name. `path` is what comes before it, as the browser wrote it."""

    path: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, path: str, query_string: bytes) -> "Query":
        """Of a request; fields that are too many or too long are cut off."""
        try:
            pairs = parse_qsl(query_string.decode("latin-1"), errors="replace", max_num_fields=MAX_FIELDS)
        except ValueError:
            pairs = []
        return cls(path, {name: value[:MAX_TEXT] for name, value in pairs})

    def text(self, name: str) -> str:
        """A field, without space around it; empty when there is none."""
        return self.fields.get(name, "").strip()

    def words(self, name: str = "q") -> tuple[str, ...]:
        """The words of a search, in lower case."""
        return tuple(self.text(name).lower().split())

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A field that is one of `choices`, else the first of them."""
        value = self.text(name)
        return value if value in choices else choices[0]

    def number(self, name: str) -> int:
        """A field that is a whole number from 1 to a million; 1 when it is none."""
        value = self.text(name)
        return int(value) if value.isascii() and value.isdigit() and 0 < len(value) < 7 and int(value) else 1

    def address(self, **changes: str | int) -> str:
        """The same address with some fields changed; a field that becomes empty is left out."""
        fields = {**self.fields, **{name: str(value) for name, value in changes.items()}}
        text = urlencode({name: value for name, value in fields.items() if value}, errors="replace")
        return f"{self.path}?{text}" if text else self.path


class RowPage(Struct, Generic[T], frozen=True):
    """Some of many. `first` counts from 1, 0 where there is nothing."""

    items: Sequence[T]
    first: int
    total: int
    number: int
    pages: int

    @property
    def last(self) -> int:
        """The number of the last item shown."""
        return self.first + len(self.items) - 1 if self.items else 0


def page_of(items: Sequence[T], number: int, size: int = PER_PAGE) -> RowPage[T]:
    """Page `number` from 1 on, or the last one where there are fewer."""
    pages = max(1, -(-len(items) // size))
    number = min(number, pages)
    start = (number - 1) * size
    shown = items[start : start + size]
    return RowPage(shown, start + 1 if shown else 0, len(items), number, pages)


def numbered(words: Sequence[str]) -> int:
    """The number of a decision, 123, when `#123` alone is looked for; else 0."""
    digits = words[0].removeprefix("#") if len(words) == 1 and words[0].startswith("#") else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else 0


def part(text: str) -> str:
    """A name as one part of an address."""
    return quote(text, safe="", errors="replace")
