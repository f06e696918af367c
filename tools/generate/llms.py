"""docs/llms.txt: the index of the documentation for programs that read it. `python -m generate.llms` writes it.

The format is that of https://llmstxt.org: a title, what the project is, and a list of pages for each section.
"""

import re

from programs import ROOT

from generate.pages import DOCS, INDEX

LLMS = DOCS / "llms.txt"

_SECTION = re.compile(r"^## (?P<name>.+)\n(?P<body>(?:(?!## ).*\n?)*)", re.MULTILINE)
_ENTRY = re.compile(r"^\* \[(?P<title>[^\]]+)\]\((?P<target>[^)]+)\): (?P<what>.+(?:\n  .+)*)", re.MULTILINE)


def render() -> str:
    """Return the text of docs/llms.txt, made from README.md and docs/README.md."""
    readme = (ROOT / "README.md").read_text()
    title, what = re.match(r"# (.+)\n\n((?:.+\n)+)", readme).groups()  # type: ignore[union-attr]
    lines = [f"# {title}", "", f"> {_line(what)}"]
    for section in _SECTION.finditer(INDEX.read_text()):
        lines += ["", f"## {section['name']}", ""]
        lines += [
            f"- [{entry['title']}]({entry['target']}): {_line(entry['what'])}"
            for entry in _ENTRY.finditer(section["body"])
        ]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def write() -> None:
    LLMS.write_text(render())


if __name__ == "__main__":
    write()
