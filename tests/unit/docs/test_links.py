"""Every link of every page leads somewhere: to a file that is there, and to a heading of it."""

import re
from pathlib import Path

import pytest
from generate import pages
from programs import ROOT

PAGES = pages.pages()


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere. Addresses of other sites are not looked up."""
    found = []
    for link in pages.links(page.read_text()):
        if re.match(r"(https?|mailto):", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in pages.anchors(target.read_text())):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    assert broken(page) == []


def test_a_page_a_heading_and_an_image_that_are_not_there_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# There\n\n## A heading: `with` code\n\n```sh\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#a-heading-with-code) [c](there.md#no-heading) [d](gone.md) `[e](gone.md)`\n"
        '<img src="gone.png"> [f](#page) [g](https://example.org)\n```\n[h](gone.md)\n```\n# Page\n'
    )
    assert broken(page) == ["there.md#no-heading", "gone.md", "gone.png"]


def test_pages_that_code_and_settings_name_are_there() -> None:
    named = {}
    for folder in ("extender", "deploy", "tests", "tools"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".toml", ".txt", ".json"):
                for name in re.findall(r"\bdocs/[\w/-]+\.(?:md|yaml|txt)", path.read_text()):
                    named[name] = path
    assert len(named) > 3
    assert [(name, path) for name, path in named.items() if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_targets_that_pages_name_are_there(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"`((?:deploy|docs|extender|proto|tests|tools)/[\w./-]*[\w/])`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) <= targets
