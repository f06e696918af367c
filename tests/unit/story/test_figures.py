"""What the story counts, and how its figures are shown."""

import math
from collections import Counter
from pathlib import Path

import pytest
from story import figures
from story.meter import Look, Sums
from story.play import Result
from story.workloads import Asked

WEB = Asked("web", 10, 70, 2)


def look(pending: int = 0, unready: int = 0, **bound: int) -> Look:
    held = Counter({name.replace("_", "-"): count for name, count in bound.items()})
    ready = held - Counter({"spot": unready})
    return Look(1.0, {"web": held}, {"web": ready}, Counter({"web": pending}), 0.0)


@pytest.mark.parametrize(
    ("seen", "off", "surplus", "all_ready", "right"),
    [
        (look(spot=7, on_demand=3), 0, 0, True, True),
        (look(spot=7, on_demand=3, unready=1), 0, 0, False, False),
        (look(spot=7, on_demand=3, pending=1), 0, 0, True, False),
        (look(on_demand=10), 7, 7, True, False),
        (look(spot=8, on_demand=3), 0, 1, True, False),
        (look(spot=5, on_demand=3, pending=2), 2, 0, False, False),
    ],
)
def test_what_is_off(seen: Look, off: int, surplus: int, all_ready: bool, right: bool) -> None:
    assert (seen.off(WEB), seen.surplus(WEB), seen.all_ready(WEB), seen.right(WEB)) == (off, surplus, all_ready, right)


def test_what_adds_up_is_an_average_over_all_that_passed() -> None:
    total = Sums(10.0, surplus=20.0, price=0.5, ready_hours=100.0) + Sums(30.0, surplus=0.0, price=0.5)
    assert (total.surplus_on_average, total.price_of_1000) == (0.5, 10.0)
    assert Sums().surplus_on_average == 0.0


def test_ranges_are_published_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    monkeypatch.setattr(figures, "PAGE", page)
    figures.publish([Result(moves=28, acts={"rollout": 2.0}), Result(moves=30, acts={"rollout": math.inf})])
    text = page.read_text()
    assert text.startswith(f"before\n{figures.BEGIN}\n")
    assert text.endswith(f"{figures.END}\nafter\n")
    assert "old" not in text
    assert "| evictions by Spotmix for it | 28 | 30 |" in text
    assert "| rollout (s) | 2 | never |" in text
    assert "Runs: 2." in text


def test_a_telling_ended_well_only_when_every_act_did_and_all_is_right() -> None:
    assert Result(acts={"rollout": 2.0}).ended
    assert not Result(acts={"rollout": math.inf}).ended
    assert not Result(off_at_end=1).ended
