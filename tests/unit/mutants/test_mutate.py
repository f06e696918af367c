"""What `make mutants` changes in a module, which tests it tries, and that it leaves nothing behind."""

import ast
from pathlib import Path

import pytest
from mutants.equivalent import FILE, equivalents, is_listed, stale
from mutants.fitting import fitting
from mutants.mutate import Mutant, mutants
from mutants.trial import Outcome, trial
from programs import ROOT


def changes(source: str) -> set[str]:
    return {mutant.change for mutant in mutants(source, "m.py")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"a < b => (a <= b)"}),
        ("x = a <= b is c", {"a <= b is c => (a < b is c)", "a <= b is c => (a <= b is not c)"}),
        ("x = a not in b", {"a not in b => (a in b)"}),
        ("x = 3", {"3 => (4)", "3 => (2)"}),
        ("x = 0.5", {"0.5 => (1.5)", "0.5 => (-0.5)"}),
        ("x = True", {"True => (False)"}),
        ("x = a and b", {"a and b => (a or b)", "a and b => (a)", "a and b => (b)"}),
        ("x = not a", {"not a => (a)"}),
        ("x = a if b else c", {"b => (not b)"}),
        ("x = a - b", {"a - b => (a + b)"}),
        ("x = min(a)", {"min(a) => (max(a))"}),
        ("x = sorted(a, key=b)", {"sorted(a, key=b) => (list(a))"}),
        ("if a:\n    b()", {"a => (not a)", "b() => pass"}),
        ("while a:\n    break", {"a => (not a)", "break => pass"}),
        ("def f():\n    return a", {"return a => return None"}),
        ("def f():\n    return False", {"False => (True)"}),
        ("def f():\n    raise a", {"raise a => pass"}),
        ("a.b = c", {"a.b = c => pass"}),
        ("a += b", {"a += b => pass"}),
        # Names stay bound; texts, annotations, decorators and what returns nothing anyway stay as they are.
        ("a = b", set()),
        ("x = 'a' + b", set()),
        ("x = f'{a + 1}'", set()),
        ('"""A text."""', set()),
        ("@a(1)\ndef f(b: c[1] = d) -> e[2]:\n    return None", set()),
        ("class A(B, frozen=True):\n    pass", set()),
        ("match a:\n    case 1:\n        pass", set()),
    ],
)
def test_what_is_changed(source: str, expected: set[str]) -> None:
    assert {change.replace("(not (a))", "(not a)").replace("(not (b))", "(not b)") for change in changes(source)} == (
        expected
    )


SOURCE = '''"""Größe."""

class A:
    def f(self, größe):
        text = "ü"; wide = größe >= 10
        return self.g(
            wide,
            größe - 1,
        )
'''


def test_a_mutant_is_the_source_but_for_one_place() -> None:
    found = mutants(SOURCE, "a.py")
    (flipped,) = [mutant for mutant in found if mutant.after == "(größe > 10)"]
    assert (flipped.line, flipped.scope, flipped.before) == (5, "A.f", "größe >= 10")
    assert flipped.at == 'text = "ü"; wide = größe >= 10'
    assert flipped.apply(SOURCE) == SOURCE.replace("größe >= 10", "(größe > 10)")
    (dropped,) = [mutant for mutant in found if mutant.after == "return None"]
    assert dropped.change == "return self.g( wide, größe - 1, ) => return None"
    assert dropped.apply(SOURCE).endswith("        return None\n")


def test_all_mutants_of_a_real_module_compile_and_differ() -> None:
    path = ROOT / "extender" / "core" / "policy" / "seats.py"
    source = path.read_text()
    found = mutants(source, path.name)
    trees = {ast.dump(ast.parse(mutant.apply(source))) for mutant in found}
    assert len(trees | {ast.dump(ast.parse(source))}) == len(found) + 1 > 50


def test_the_tests_of_a_module_come_first_and_those_of_its_users_last() -> None:
    found = fitting(ROOT, "extender/core/drift/backoff.py")
    assert found[0] == "tests/unit/core/drift/test_backoff.py"
    assert len(found) == len(set(found))
    room, core = "tests/unit/core/drift/", "tests/unit/core/"
    places = [0 if path.startswith(room) else 1 if path.startswith(core) else 2 for path in found]
    assert places == sorted(places)
    assert set(places) == {0, 1, 2}
    assert not any(path.startswith("tests/unit/cli/") for path in found)


EQUIVALENT = """
[[mutant]]
module = "a.py"
scope = "A.f"
at = 'text = "ü"; wide = größe >= 10'
change = "größe >= 10 => (größe > 10)"
why = "It is never ten."
"""


def test_what_is_equivalent_is_known_by_what_it_says_and_not_by_its_line() -> None:
    entries = equivalents(EQUIVALENT)
    for source in (SOURCE, f"\n\n{SOURCE}"):
        listed = [mutant.after for mutant in mutants(source, "a.py") if is_listed(mutant, entries)]
        assert listed == ["(größe > 10)"]
        assert stale(entries, mutants(source, "a.py")) == []
    assert stale(entries, mutants(SOURCE, "b.py")) == entries
    with pytest.raises(ValueError, match="but not why"):
        equivalents(EQUIVALENT.replace("It is never ten.", " "))


def test_the_list_can_be_read() -> None:
    assert all(entry.module.startswith("extender/core/") for entry in equivalents(FILE.read_text()))


def repository(folder: Path) -> Path:
    """A repository with a core of one module, whose limit no test looks at."""
    module, test = folder / "extender" / "core" / "room" / "m.py", folder / "tests" / "unit" / "core" / "test_m.py"
    for path in (module, test):
        path.parent.mkdir(parents=True)
    (folder / "extender" / "__init__.py").touch()
    module.write_text("def f(a):\n    while a > 5:\n        a -= 1\n    return a\n")
    test.write_text("from extender.core.room.m import f\n\n\ndef test_f():\n    assert (f(1), f(9)) == (1, 5)\n")
    (folder / ".secret").touch()
    return folder


def test_a_mutant_is_tried_in_a_copy_that_is_gone_afterwards(tmp_path: Path) -> None:
    original = repository(tmp_path)
    module = "extender/core/room/m.py"
    source = (original / module).read_text()
    by_change = {mutant.change: mutant for mutant in mutants(source, module)}
    with trial(original) as copy:
        assert not (copy.root / ".secret").exists()
        assert copy.check([module]) == ""
        assert copy.run(by_change["return a => return None"]) is Outcome.KILLED
        survivor = Mutant(module, 4, "f", "return a", "return (a)", source.index("return a"), "return a")
        assert copy.run(survivor) is Outcome.SURVIVED
        assert (copy.root / module).read_text() == source
    assert not copy.root.exists()
    assert (original / module).read_text() == source
