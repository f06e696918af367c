"""docs/README.md lists every page once and says what the reader gets; docs/llms.txt says the same to programs."""

import re

from generate import llms, pages


def listed() -> dict[str, str]:
    """What the index says of each page, by its address in the docs folder."""
    found = re.findall(r"^\* \[[^\]]+\]\(([^)]+)\): (.+(?:\n  .+)*)", pages.INDEX.read_text(), re.MULTILINE)
    assert len(found) == len({target for target, _ in found}), "a page is listed twice"
    return dict(found)


def test_every_page_is_in_the_index() -> None:
    there = {str(path.relative_to(pages.DOCS)) for path in pages.DOCS.rglob("*.md")} - {"README.md"}
    assert there - set(listed()) == set()


def test_pages_are_listed_in_the_section_of_their_folder() -> None:
    sections = {"Tutorial": "tutorial", "How-to guides": "how-to", "Reference": "reference"}
    sections["Explanation"] = "explanation"
    for part in pages.INDEX.read_text().split("\n## ")[1:]:
        name = part.partition("\n")[0].partition(":")[0]
        folders = {target.partition("/")[0] for target in re.findall(r"^\* \[[^\]]+\]\(([^)]+)\)", part, re.MULTILINE)}
        assert folders == {sections.get(name, "..")}, name


def test_every_line_says_something_in_a_sentence() -> None:
    for target, what in listed().items():
        assert what[0].isupper(), target
        assert what.endswith("."), target


def test_llms_txt_is_current() -> None:
    assert llms.LLMS.read_text() == llms.render(), "run `make llms`"


def test_llms_txt_has_every_page_of_the_index() -> None:
    assert set(re.findall(r"^- \[[^\]]+\]\(([^)]+)\): ", llms.render(), re.MULTILINE)) == set(listed())
