"""What an address asks for, and how splits are laid out."""

from hypothesis import given
from hypothesis import strategies as st

from extender.servers.answers.search import matches
from extender.servers.console.bars import WIDTH, bar_of, share
from extender.servers.console.query import MAX_TEXT, Query, numbered, page_of


def parse(text: str) -> Query:
    return Query.parse("/console", text.encode())


def test_fields_and_addresses() -> None:
    query = parse("q=+Web+shop&page=3&sort=name&empty=")
    assert query.words() == ("web", "shop")
    assert (query.number("page"), query.number("q"), query.number("none")) == (3, 1, 1)
    assert query.choice("sort", ("worst", "name")) == "name"
    assert query.choice("q", ("worst", "name")) == "worst"
    assert query.address(page="", sort="a&b") == "/console?q=+Web+shop&sort=a%26b"
    assert Query("/console", {}).address() == "/console"


def test_numbers_are_bounded() -> None:
    for text in ("0", "-1", "1.5", "9" * 30, "٣", "x", ""):
        assert parse(f"page={text}").number("page") == 1


@given(st.binary(max_size=300))
def test_no_query_string_is_too_strange(raw: bytes) -> None:
    query = Query.parse("/console", raw)
    assert all(len(value) <= MAX_TEXT for value in query.fields.values())
    # What is made of it can be asked again.
    assert Query.parse("/console", query.address(page=2).partition("?")[2].encode()).number("page") == 2


def test_too_many_fields_are_none() -> None:
    assert parse("&".join(f"f{n}=1" for n in range(1000))).fields == {}


@given(st.integers(0, 200), st.integers(1, 10**6), st.integers(1, 60))
def test_every_page_is_one_of_those_there_are(total: int, number: int, size: int) -> None:
    page = page_of(range(total), number, size)
    assert 1 <= page.number <= page.pages
    assert len(page.items) <= size
    assert (page.first > 0) == bool(page.items) == bool(total)
    assert [item for n in range(1, page.pages + 1) for item in page_of(range(total), n, size).items] == list(
        range(total)
    )


def test_every_word_has_to_be_somewhere() -> None:
    assert matches((), "anything")
    assert matches(("web", "shop"), "Deployment", "shop", "Web")
    assert not matches(("web", "pay"), "Deployment", "shop", "web")


def test_a_decision_is_looked_for_by_its_number_alone() -> None:
    assert numbered(("#123",)) == 123
    for words in ((), ("123",), ("#",), ("#12x",), ("#٣",), ("#" + "9" * 30,), ("#123", "web")):
        assert numbered(words) == 0


@given(st.dictionaries(st.sampled_from(["spot", "on-demand", "fargate"]), st.integers(0, 1000)))
def test_bars_stay_within_their_width(replicas: dict[str, int]) -> None:
    bar = bar_of({"spot": 7, "on-demand": 3}, replicas)
    for stretches in (bar.wanted, bar.actual):
        end = 0.0
        for stretch in stretches:
            assert abs(stretch.start - end) < 0.05
            end = stretch.start + stretch.width
        assert end <= WIDTH + 0.05
    assert {count.capacity_class: count.actual for count in bar.counts} == {"spot": 0, "on-demand": 0} | replicas


def test_shares() -> None:
    assert share({"spot": 3, "on-demand": 1}) == 75.0
    assert share({}) is None
