"""Checksums, as `sha256sum --check` reads them."""

from collections.abc import Iterable
from pathlib import Path

from release.origin import digest


def write_sums(dist: Path, made: Iterable[Path]) -> Path:
    """Write those of files into `SHA256SUMS`."""
    file = dist / "SHA256SUMS"
    file.write_text("".join(f"{digest(each)}  {each.name}\n" for each in sorted(made)))
    return file
