"""Which tests may notice that a module of the core is wrong, those that are likeliest to do so first."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

UNIT = "tests/unit"
LEFT_OUT = f"{UNIT}/cli/"
"""Its tests start processes, which takes longer than what they may notice is worth."""


def fitting(root: Path, module: str) -> list[str]:
    """Paths of test modules for a module such as `extender/core/drift/plan.py`, each once.

    First those of the core that import it, then the others of its room, then the rest of the core's, and last those
    elsewhere that import it or something that does, save those of the command line.
    """
    name = _dotted(module)
    users = {_dotted(path) for path, imports in _imports(root, "extender").items() if name in imports}
    tests = _imports(root, UNIT)
    room = f"{UNIT}/{Path(module).parent.relative_to('extender')}/"

    def rank(path: str) -> int | None:
        of_core, direct = path.startswith(f"{UNIT}/core/"), name in tests[path]
        if of_core:
            return 0 if direct else 1 if path.startswith(room) else 2
        return 3 if direct or users & tests[path] else None

    ranked = sorted((place, path) for path in tests if (place := rank(path)) is not None)
    return [path for _, path in ranked if Path(path).name.startswith("test_") and not path.startswith(LEFT_OUT)]


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def _imports(root: Path, folder: str) -> dict[str, set[str]]:
    """What the modules under a folder import, by their paths."""
    return {
        str(path.relative_to(root)): set(_imported(ast.parse(path.read_text())))
        for path in sorted((root / folder).rglob("*.py"))
    }


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # `from package import module` is a module, too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
