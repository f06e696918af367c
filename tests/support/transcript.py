"""A page that shows commands and their output: what it says, and whether what is seen is that."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generate.pages import blocks

SKIPPED = ".."
"""A line of shown output that stands for any lines, or none."""

_VOLATILE = (
    (re.compile(r"\bspotmix-sandbox-\d+/run-[0-9a-f]+"), "RUN"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b(web)-[0-9a-f]{8,10}-[0-9a-z]{5}\b"), r"\1-POD"),
    # An age and, of an Event that came again, how often.
    (re.compile(r"(?<!\S)\d+(s|m|m\d+s)(?!\S)( \(x\d+ over \d+(s|m|m\d+s)\))?"), "AGE"),
    (re.compile(r"/tmp/[\w/-]*(?=RUN)"), "/tmp/"),  # noqa: S108 - where a page's author had it
)
_NODE = re.compile(r"^(web-POD \d+ (spot|on-demand) \2)-\d\b")


@dataclass(frozen=True, slots=True)
class Step:
    """Commands, and the output that the page shows for them; None where it shows none."""

    commands: str
    shown: str | None
    line: int

    def reads(self) -> bool:
        """Whether the commands change nothing, so that a reader may run them again until they see what is shown."""
        return bool(re.match(r"(spotmix (?!sandbox)|kubectl (get|describe) )", self.commands))


def steps(page: Path) -> list[Step]:
    """The `sh` blocks of a page, each with the `text` block that follows it before the next one."""
    found: list[Step] = []
    for block in blocks(page.read_text()):
        if block.info == "sh":
            found.append(Step(block.text, None, block.line))
        elif block.info == "text":
            assert found, f"line {block.line}: output without a command"
            last = found.pop()
            assert last.shown is None, f"line {block.line}: a second output for one command"
            found.append(Step(last.commands, block.text, last.line))
    return found


def same(shown: str, seen: str) -> bool:
    """Whether output is what a page shows, but for names, addresses and times that differ from run to run."""
    return _fits(_lines(shown), _lines(seen))


def _lines(text: str) -> list[str]:
    return [_constant(line) for line in text.strip("\n").splitlines()]


def _constant(line: str) -> str:
    for pattern, instead in _VOLATILE:
        line = pattern.sub(instead, line)
    # Which node of its class a pod is on is the scheduler's choice.
    return _NODE.sub(r"\1-NODE", re.sub(r" +", " ", line).strip())


def _fits(shown: Sequence[str], seen: Sequence[str]) -> bool:
    if not shown:
        return not seen
    if shown[0] == SKIPPED:
        return any(_fits(shown[1:], seen[start:]) for start in range(len(seen) + 1))
    return bool(seen) and shown[0] == seen[0] and _fits(shown[1:], seen[1:])
