"""The list of mutants that no test can tell from the original, each with the reason."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mutants.mutate import Mutant

FILE = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Equivalent:
    """An entry of the list; the rest is as in `Mutant`, and outlives a change of line numbers."""

    module: str
    scope: str
    at: str
    change: str
    why: str


def equivalents(text: str) -> list[Equivalent]:
    """The entries of a list.

    Raises:
        TypeError: an entry lacks a key, or has one that is not known.
        ValueError: the text is no TOML, or an entry gives no reason.
    """
    entries = [Equivalent(**entry) for entry in tomllib.loads(text).get("mutant", [])]
    for entry in entries:
        if not entry.why.strip():
            raise ValueError(f"{entry.module}: {entry.change} is said to be equivalent, but not why")
    return entries


def is_listed(mutant: Mutant, entries: Iterable[Equivalent]) -> bool:
    """Whether an entry speaks of a mutant."""
    return any(_key(entry) == _key(mutant) for entry in entries)


def stale(entries: Iterable[Equivalent], mutants: Iterable[Mutant]) -> list[Equivalent]:
    """Entries that speak of no mutant any more."""
    known = {_key(mutant) for mutant in mutants}
    return [entry for entry in entries if _key(entry) not in known]


def _key(of: Mutant | Equivalent) -> tuple[str, str, str, str]:
    return of.module, of.scope, of.at, of.change
