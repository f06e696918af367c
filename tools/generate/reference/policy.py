"""The tables of docs/reference/policy.md that are made from the code; the rest of the page is written by hand."""

from programs import ROOT

from extender.core.policy.keys import WHEN_WRONG
from extender.core.policy.values import MAX_HOURS

PAGE = ROOT / "docs" / "reference" / "policy.md"
_BEGIN, _END = "<!-- made by `make reference` -->\n", "<!-- end -->\n"


def render_reference() -> str:
    """The page, with its tables made anew."""
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    return before + _BEGIN + _when_wrong() + _END + rest.partition(_END)[2]


def _when_wrong() -> str:
    rows = "".join(
        f"| `{key}` | {reading.text} | {'as ever' if reading.moves else 'none is moved'} |\n"
        for key, reading in WHEN_WRONG.items()
    )
    head = "| key | is read as, while its value is wrong | its pods |\n|---|---|---|\n"
    return f"{head}{rows}\nThe longest duration is {MAX_HOURS} h.\n"
