"""The extender's entry in a configuration: put in and brought up to date, the rest as it was."""

import contextlib
import difflib
import itertools
import json
import sys
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from extender.core.model.errors import WireError
from extender.schedulerconfig.inject import inject, injected
from extender.schedulerconfig.read import API_VERSION, KIND, Stanza, go_seconds

HEAD = f"apiVersion: {API_VERSION}\nkind: {KIND}\n"
PLAIN = Stanza(url_prefix="http://127.0.0.1:8888/scheduler", weight=15)
SECURE = Stanza(
    url_prefix="https://spotmix.spotmix-system.svc:8888/scheduler",
    weight=15,
    enable_https=True,
    ca_file="/etc/spotmix/ca.crt",
    cert_file="/etc/spotmix/client.crt",
    key_file="/etc/spotmix/client.key",
)
BLOCK = """\
- urlPrefix: http://127.0.0.1:8888/scheduler
  filterVerb: filter
  prioritizeVerb: prioritize
  weight: 15
  nodeCacheCapable: true
  httpTimeout: 5s
  ignorable: false
"""


def load(text: str) -> Any:
    return json.loads(text) if text.startswith("{\n\t") else yaml.safe_load(text.removeprefix("\ufeff"))


def changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line.rstrip("\n") for line in lines if line[0] in "+-"]


def indented(text: str, margin: str) -> str:
    return "".join(margin + line for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD, HEAD + "extenders:\n" + indented(BLOCK, "  ")),
        (HEAD + "profiles:\n- schedulerName: x\n", HEAD + "profiles:\n- schedulerName: x\nextenders:\n" + BLOCK),
        (
            HEAD + "extenders:  # none\nparallelism: 3\n",
            HEAD + f"extenders:  # none\n{indented(BLOCK, '  ')}parallelism: 3\n",
        ),
        (HEAD + "extenders: [] # none\n", HEAD + "extenders: # none\n" + indented(BLOCK, "  ")),
        (HEAD + "extenders: null", HEAD + "extenders:\n" + indented(BLOCK, "  ").rstrip("\n")),
        (
            HEAD
            + "extenders:\n  # theirs\n  -   urlPrefix: http://a # keep\n      # tail\n\n# profiles\nprofiles: []\n",
            HEAD
            + "extenders:\n  # theirs\n  -   urlPrefix: http://a # keep\n"
            + indented(BLOCK, "      ").replace("      - ", "  -   ", 1).replace("        ", "      ")
            + "      # tail\n\n# profiles\nprofiles: []\n",
        ),
        ("\ufeff" + HEAD, "\ufeff" + HEAD + "extenders:\n" + indented(BLOCK, "  ")),
        (HEAD.replace("\n", "\r\n"), (HEAD + "extenders:\n" + indented(BLOCK, "  ")).replace("\n", "\r\n")),
        (
            "---\nkind: Pod\n---\n" + HEAD + "...\n---\n- x\n",
            "---\nkind: Pod\n---\n" + HEAD + "extenders:\n" + indented(BLOCK, "  ") + "...\n---\n- x\n",
        ),
        (indented(HEAD, "  "), indented(HEAD + "extenders:\n" + indented(BLOCK, "  "), "  ")),
        (HEAD + "x: |+\n  a\n\n\n", HEAD + "x: |+\n  a\n\n\nextenders:\n" + indented(BLOCK, "  ")),
        (HEAD + "extenders: &e\n- urlPrefix: http://a\n", HEAD + "extenders: &e\n- urlPrefix: http://a\n" + BLOCK),
    ],
)
def test_added_after_what_is_there(before: str, after: str) -> None:
    assert inject(before, PLAIN) == after
    assert inject(after, PLAIN) is after


@pytest.mark.parametrize("indent", [None, 2, 4, "\t"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"extenders": []},
        {"extenders": None},
        {"extenders": [{"urlPrefix": "http://é/\U0001f600"}], "parallelism": 3},
    ],
)
def test_json_stays_json(more: dict[str, Any], indent: int | str | None) -> None:
    config = {"kind": KIND, "apiVersion": API_VERSION, **more}
    for stanza in (PLAIN, SECURE):
        wanted = {**config, "extenders": [*(config.get("extenders") or []), stanza.entry()]}
        for ascii_only in (False, True):
            before = json.dumps(config, indent=indent, ensure_ascii=ascii_only) + "\n"
            after = inject(before, stanza)
            assert json.loads(after) == wanted
            assert inject(after, stanza) is after
            if not ascii_only:
                assert after == json.dumps(wanted, indent=indent, ensure_ascii=False) + "\n"


OURS = (
    HEAD
    + """extenders:
  - enableHTTPS: false  # later
    urlPrefix: "http://localhost:8888/scheduler"   # local
    filterVerb: filter
    tlsConfig:
      # old
      caData: AAAA
      certFile: /x   # theirs
    prioritizeVerb: prioritize
    weight:  # default
    httpTimeout: 5000ms
    managedResources: []
    nodeCacheCapable: yes
  - urlPrefix: http://b
"""
)


def test_ours_is_brought_up_to_date_in_place() -> None:
    result = injected(OURS, SECURE)
    assert changed(OURS, result.text) == [
        "-   - enableHTTPS: false  # later",
        "+   - enableHTTPS: true  # later",
        '-     urlPrefix: "http://localhost:8888/scheduler"   # local',
        "+     urlPrefix: https://spotmix.spotmix-system.svc:8888/scheduler   # local",
        "-       caData: AAAA",
        "-       certFile: /x   # theirs",
        "+       certFile: /etc/spotmix/client.crt   # theirs",
        "+       caFile: /etc/spotmix/ca.crt",
        "+       keyFile: /etc/spotmix/client.key",
        "-     weight:  # default",
        "+     weight: 15  # default",
    ]
    assert " ".join(result.changes) == (
        'line 4: our extender, extenders[0], is updated: urlPrefix "http://localhost:8888/scheduler" -> '
        "https://spotmix.spotmix-system.svc:8888/scheduler, weight null -> 15, enableHTTPS false -> true, tlsConfig"
    )
    assert inject(result.text, SECURE) is result.text


def test_what_goes_with_https_goes_when_it_does() -> None:
    secure = inject(HEAD, SECURE)
    assert load(secure)["extenders"] == [SECURE.entry()]
    plain = inject(secure, Stanza(url_prefix="http://spotmix.spotmix-system.svc:8888/scheduler", weight=15))
    entry = load(plain)["extenders"][0]
    assert entry == {
        **PLAIN.entry(),
        "urlPrefix": "http://spotmix.spotmix-system.svc:8888/scheduler",
        "enableHTTPS": False,
    }
    assert load(inject(plain, SECURE))["extenders"][0] == SECURE.entry()


def test_ca_data_replaces_a_file() -> None:
    data = Stanza(url_prefix=SECURE.url_prefix, weight=15, enable_https=True, ca_file="x", ca_data=b"PEM")
    for before in (inject(HEAD, SECURE), json.dumps({**load(HEAD), "extenders": [SECURE.entry()]}, indent=2)):
        assert load(inject(before, data))["extenders"][0]["tlsConfig"] == {"caData": "UEVN"}


def test_a_scheduler_asks_for_scores_only_where_they_have_a_weight() -> None:
    unscored = replace(PLAIN, weight=0)
    assert {"prioritizeVerb", "weight"} & set(unscored.entry()) == set()
    result = injected(HEAD + "extenders:\n" + BLOCK, unscored)
    assert changed(HEAD + "extenders:\n" + BLOCK, result.text) == ["-   prioritizeVerb: prioritize", "-   weight: 15"]
    assert result.changes == ("line 4: our extender, extenders[0], is updated: prioritizeVerb and weight removed",)
    assert inject(result.text, unscored) is result.text
    assert load(inject(result.text, PLAIN))["extenders"] == [PLAIN.entry()]


@pytest.mark.parametrize("order", list(permutations(("urlPrefix", "prioritizeVerb", "weight", "filterVerb"))))
def test_what_asks_for_scores_goes_wherever_it_stands(order: tuple[str, ...]) -> None:
    unscored = replace(PLAIN, weight=0)
    entry = {key: PLAIN.entry()[key] for key in order}
    for before in (
        HEAD + yaml.safe_dump({"extenders": [entry]}, sort_keys=False),
        HEAD + "extenders:\n- " + yaml.safe_dump(entry, sort_keys=False, default_flow_style=True, width=1000),
        json.dumps({**load(HEAD), "extenders": [entry]}),
        json.dumps({**load(HEAD), "extenders": [entry]}, indent=2),
    ):
        after = inject(before, unscored)
        assert amounts_to(load(after)["extenders"][0]) == amounts_to(unscored.entry())
        assert inject(after, unscored) is after


FOREIGN = [
    "http://127.0.0.1:8888/other",
    "http://127.0.0.1:9999/spotmix",
    "http://tas-service:9001/scheduler",
    "http://10.0.0.1:8888/scheduler",
    "",
    "http://[",
    "http://127.0.0.1:port/scheduler",
    "/scheduler",
]
SAME = [
    "http://127.0.0.1:8888/scheduler",
    "http://localhost:8888/scheduler/",
    "https://[::1]:8888/scheduler",
    "http://localhost:9999/scheduler",
    "https://spotmix-extender.spotmix-system.svc/scheduler",
]


@pytest.mark.parametrize(("url", "count"), [*((url, 2) for url in FOREIGN), *((url, 1) for url in SAME)])
def test_which_entry_is_ours(url: str, count: int) -> None:
    entry = {"urlPrefix": url, "filterVerb": "filter", "prioritizeVerb": "prioritize", "weight": 1}
    before = HEAD + yaml.safe_dump({"extenders": [entry]})
    found = load(inject(before, PLAIN))["extenders"]
    assert len(found) == count
    assert amounts_to(found[-1]) == amounts_to(PLAIN.entry())
    if count == 2:
        assert found[0] == entry


def test_another_verb_at_another_address_makes_it_anothers() -> None:
    for verb in ("bindVerb", "preemptVerb"):
        entry = {**PLAIN.entry(), "urlPrefix": "http://localhost:9999/scheduler", verb: "x"}
        assert len(load(inject(HEAD + yaml.safe_dump({"extenders": [entry]}), PLAIN))["extenders"]) == 2
    here = {"urlPrefix": PLAIN.url_prefix, "bindVerb": "x"}
    (kept,) = load(inject(HEAD + yaml.safe_dump({"extenders": [here]}), PLAIN))["extenders"]
    assert amounts_to(kept) == amounts_to({**PLAIN.entry(), "bindVerb": "x"})


def test_the_one_at_our_address_wins() -> None:
    local = {**PLAIN.entry(), "urlPrefix": "http://localhost:9999/scheduler"}
    before = HEAD + yaml.safe_dump({"extenders": [local, {**PLAIN.entry(), "weight": 1}]})
    assert load(inject(before, PLAIN))["extenders"] == [local, PLAIN.entry()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "just text: [",
        "kind: Pod\n",
        "kind: [KubeSchedulerConfiguration]\n",
        f"apiVersion: example.com/v1\nkind: {KIND}\n",
        f"apiVersion: {API_VERSION}\nkind: DefaultPreemptionArgs\n",
        f"# kind: {KIND}\n",
        f"- kind: {KIND}\n",
        f"a: {{kind: {KIND}}}\n",
        "-----BEGIN CERTIFICATE-----\n",
        "x" * 10**6,
    ],
)
def test_what_is_no_such_configuration_is_left_alone(text: str) -> None:
    result = injected(text, PLAIN)
    assert result.text is text
    assert (result.configurations, result.changes) == (0, ())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"kind: {KIND}\n", "line 1, column 7: apiVersion is missing; write apiVersion: kubescheduler"),
        (
            HEAD.replace("/v1\n", "/v1beta3\n"),
            'line 1, column 13: apiVersion is "kubescheduler.config.k8s.io/v1beta3"; .* write apiVersion: kube',
        ),
        (HEAD.replace("/v1\n", "/v2\n"), 'apiVersion is "kubescheduler.config.k8s.io/v2"; write'),
        (HEAD.replace(API_VERSION, "1"), "line 1, column 13: apiVersion is 1; write"),
        (HEAD + "extenders: {}\n", "line 3, column 12: extenders is a mapping; write a list"),
        (HEAD + "extenders: none\n", 'line 3, column 12: extenders is "none"; write a list'),
        (HEAD + "extenders:\n- a\n- b\n", r'line 4, column 3: extenders\[0\] is "a"; write a mapping'),
        (HEAD + "extenders:\n-\n", r"extenders\[0\] is null; write a mapping that starts with urlPrefix, or remove it"),
        (HEAD + "extenders:\n- weight: high\n", r'line 4, column 11: extenders\[0\].weight is "high"; write a whole'),
        (HEAD + "extenders:\n- weight: '5'\n", r'extenders\[0\].weight is "5"; write a whole number'),
        (HEAD + "extenders:\n- weight: true\n", r"extenders\[0\].weight is true; write a whole number"),
        (HEAD + "extenders:\n- ignorable: 1\n", r"extenders\[0\].ignorable is 1; write true or false"),
        (HEAD + "extenders:\n- urlPrefix: [a]\n", r"extenders\[0\].urlPrefix is a list; write text"),
        (HEAD + "extenders:\n- httpTimeout: 5\n", r"extenders\[0\].httpTimeout is 5; write text"),
        (HEAD + "extenders:\n- httpTimeout: 5 s\n", r'extenders\[0\].httpTimeout is "5 s"; write a duration, such as'),
        (HEAD + "extenders:\n- tlsConfig: on\n", r"extenders\[0\].tlsConfig is on; write a mapping"),
        (HEAD + "extenders:\n- managedResources: {}\n", r"extenders\[0\].managedResources is a mapping; write a list"),
        (f"{{kind: {KIND}, apiVersion: {API_VERSION}}}", "line 1, column 2: begins with a brace, .* write JSON"),
        (HEAD + "kind: x\n", "line 3, column 1: kind stands twice, first in line 2; remove one"),
        (HEAD + "extenders:\n\t- a\n", "line 4, column 1: is not YAML: .*indent with spaces"),
        (HEAD + "extenders:\n" + "- {}\n" * 501, "extenders has 501 entries; no more than 500 are read"),
        (HEAD + "#" * 2**18, "characters; no more than"),
    ],
)
def test_an_invalid_one_is_refused_with_line_field_value_and_fix(text: str, error: str) -> None:
    with pytest.raises(WireError, match=error):
        inject(text, PLAIN)


@pytest.mark.parametrize(
    "extenders",
    [
        "base: &e\n- urlPrefix: http://a\nextenders: *e\n",
        "base: &b {extenders: [{urlPrefix: http://a}]}\n<<: *b\n",
        "base: &b {urlPrefix: 'http://127.0.0.1:8888/scheduler'}\nextenders: [*b]\n",
        "base: &b {urlPrefix: 'http://127.0.0.1:8888/scheduler'}\nextenders:\n- <<: *b\n  weight: 1\n",
        "extenders:\n- &a\n  urlPrefix: http://127.0.0.1:8888/scheduler\nother: *a\n",
        "extenders: &e []\nother: *e\n",
        "extenders:\n- weight: &w 3\n  urlPrefix: http://127.0.0.1:8888/scheduler\nparallelism: *w\n",
    ],
)
def test_what_is_shared_by_anchors_is_not_edited(extenders: str) -> None:
    with pytest.raises(WireError, match=r"line \d+, column \d+: extenders.* (anchors? |cannot be edited safely)"):
        inject(HEAD + extenders, PLAIN)


def test_anchors_elsewhere_are_no_obstacle() -> None:
    before = HEAD + "extenders:\n- &a\n  urlPrefix: http://a\n- *a\n- urlPrefix: http://b\n  weight: &w 3\n  x: *w\n"
    after = inject(before, PLAIN)
    assert after == before + BLOCK
    up_to_date = (
        HEAD + "extenders:\n- &a\n" + indented(BLOCK, "  ").replace("  - ", "  ", 1).replace("    ", "  ") + "- *a\n"
    )
    assert inject(up_to_date, PLAIN) is up_to_date


def test_a_comment_within_what_is_removed_or_replaced_stays() -> None:
    text = HEAD + (
        "extenders:\n- urlPrefix: http://127.0.0.1:8888/scheduler\n  tlsConfig:\n# why\n    # how\n    caFile: a\n"
    )
    for stanza in (PLAIN, SECURE):
        after = inject(text, stanza)
        assert comments(after) == ["# why", "    # how"]
        assert inject(after, stanza) is after


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
ENTRIES = st.fixed_dictionaries(
    {"urlPrefix": st.sampled_from([*FOREIGN, *SAME]) | NAMES},
    optional={
        "filterVerb": st.just("filter") | NAMES,
        "prioritizeVerb": st.just("prioritize"),
        "weight": st.integers(1, 99),
        "enableHTTPS": st.booleans(),
        "ignorable": st.booleans(),
        "httpTimeout": st.sampled_from(["5s", "5000ms", "1m"]),
        "tlsConfig": st.dictionaries(st.sampled_from(["caFile", "caData", "certFile", "serverName"]), NAMES),
        "managedResources": st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2),
    },
)
CONFIGS = st.fixed_dictionaries(
    {"apiVersion": st.just(API_VERSION), "kind": st.just(KIND)},
    optional={
        "profiles": st.lists(st.fixed_dictionaries({"schedulerName": NAMES}), max_size=2),
        "extenders": st.none() | st.lists(ENTRIES, max_size=3),
        "x" * 3: st.recursive(NAMES | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
    },
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A configuration in some style, its keys in some order, with comments and line ends of some kind."""
    config = draw(CONFIGS)
    config = {key: config[key] for key in draw(st.permutations(list(config)))}
    style = draw(st.sampled_from(["block", "flow", "json", "compact json"]))
    if style.endswith("json"):
        indent = None if style == "compact json" else draw(st.sampled_from(["  ", "\t"]))
        return json.dumps(config, indent=indent)
    text: str = yaml.safe_dump(
        config,
        sort_keys=False,
        allow_unicode=draw(st.booleans()),
        default_flow_style=style == "flow",
        indent=draw(st.sampled_from([2, 4])),
        explicit_start=style == "flow" or draw(st.booleans()),
        width=10**6,
    )
    if style == "block":
        lines = text.splitlines(keepends=True)
        for at in draw(st.lists(st.integers(0, len(lines)), max_size=3)):
            lines.insert(at, draw(st.sampled_from(["# comment\n", "\n", "    # indented\n"])))
        text = "".join(lines)
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def amounts_to(entry: dict[str, Any]) -> dict[str, Any]:
    """What an entry says, defaults included."""
    seconds = go_seconds(entry.get("httpTimeout", "0"))
    return {"ignorable": False, "enableHTTPS": False, **entry, "httpTimeout": seconds}


@given(texts(), st.sampled_from([PLAIN, SECURE]))
def test_nothing_else_changes_whatever_the_style(text: str, stanza: Stanza) -> None:
    before, after = load(text), inject(text, stanza)
    assert inject(after, stanza) is after
    result = load(after)
    extenders = before.pop("extenders", None) or []
    found = result.pop("extenders")
    assert list(result.items()) == list(before.items())
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = list(itertools.zip_longest(extenders, found, fillvalue={}))
    assert found
    assert len(found) <= len(extenders) + 1
    touched = [(old, new) for old, new in pairs if old != new]
    assert len(touched) <= 1
    for old, new in touched:
        kept = {key: value for key, value in old.items() if key not in ("tlsConfig", "enableHTTPS")}
        assert amounts_to(new) == amounts_to({**kept, **stanza.entry()})
    if not text.startswith("{"):
        assert comments(after) == comments(text)


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip().startswith("#")]


@given(texts(), st.data())
def test_a_damaged_text_is_edited_or_refused(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 6))
    new = data.draw(
        st.sampled_from(["", "\t", "\r", "&a ", "*a", "<<: ", "{", "]", ":", "'", "|\n", "\u2028", "---\n", "-", "!"])
    )
    damaged = text[:at] + new + text[at + gone :]
    try:
        after = inject(damaged, SECURE)
    except WireError:
        return
    assert inject(after, SECURE) is after


def aliased(size: int) -> str:
    """Many entries that are one mapping of many keys."""
    keys = "".join(f"  k{n}: 1\n" for n in range(size))
    return f"x: &a\n{keys}{HEAD}extenders:\n" + "- *a\n" * (size // 4)


def merged(size: int) -> str:
    """Many entries that are one mapping into which many others are merged."""
    sources = "".join(f"x{n}: &a{n} {{u{n}: 1}}\n" for n in range(size))
    names = ",".join(f"*a{n}" for n in range(size))
    return f"{sources}m: &m\n  <<: [{names}]\n{HEAD}extenders:\n" + "- *m\n" * (size // 4)


def spare(size: int) -> str:
    """An entry of ours with many fields too many."""
    fields = "".join(f"    k{n}: 1\n" for n in range(size))
    ours = "- urlPrefix: http://spotmix:8888/scheduler\n  enableHTTPS: true\n  tlsConfig:\n    caFile: /a\n"
    return f"{HEAD}extenders:\n{ours}{fields}"


@pytest.mark.parametrize("made", [aliased, merged, spare])
def test_twice_the_text_is_twice_the_work(made: Callable[[int], str]) -> None:
    stanza = Stanza(url_prefix="https://spotmix:8888/scheduler", enable_https=True, ca_file="/a")

    def steps(size: int) -> int:
        count = 0

        def step(*_: object) -> None:
            nonlocal count
            count += 1

        text = made(size)
        sys.setprofile(step)
        try:
            with contextlib.suppress(WireError):
                inject(text, stanza)
        finally:
            sys.setprofile(None)
        return count

    assert steps(800) < 3 * steps(400)
