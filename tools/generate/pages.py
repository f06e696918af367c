"""The Markdown pages of the repository: their titles, headings, links and fenced blocks."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from programs import ROOT

DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+).+?\1", re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HTML = re.compile(r'\b(?:src|srcset|href)="([^"]+)"')
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the word behind its fence (`sh`, `yaml`, ..), its text, and the line of its fence from 1."""

    info: str
    text: str
    line: int


def pages() -> list[Path]:
    """Return every Markdown page of the repository, environments and build folders left out."""
    return sorted(
        path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def title(text: str) -> str:
    """Return a page's first heading."""
    found = _HEADING.search(_without_blocks(text))
    return "" if found is None else found[1]


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [
        Block(found["info"].strip(), _dedented(found["text"], found["indent"]), text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def links(text: str) -> list[str]:
    """Return the targets of a page's links and images, as they are written, code left out."""
    prose = _CODE.sub("", _without_blocks(text))
    return [*_LINK.findall(prose), *(part.split()[0] for target in _HTML.findall(prose) for part in target.split(","))]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for heading in _HEADING.findall(_without_blocks(text)):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def _without_blocks(text: str) -> str:
    return _FENCE.sub("", text)


def _dedented(text: str, indent: str) -> str:
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
