"""What is installed: versions and the SHA-256 of all of their files. `python -m generate.constraints` writes it.

Versions that are written down stay as long as pyproject.toml allows them; `--upgrade` takes the newest. Nothing that is
written names a registry: whichever one somebody uses has to have these files.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from programs import ROOT

ALL = ROOT / "constraints.txt"
FILES: Mapping[Path, Sequence[str]] = {
    # First the one that the others take their versions from.
    ALL: ("pyproject.toml", "--extra", "dev"),
    ROOT / "requirements.txt": ("pyproject.toml", "--extra", "otel", "--constraint", "constraints.txt"),
    ROOT / "deploy" / "docker" / "build-requirements.txt": ("-", "--constraint", "constraints.txt"),
}
BUILD = "hatchling\nhatch-fancy-pypi-readme"
OLDEST = "3.11"
"""Of Python; what newer ones and other platforms need beside it has a marker."""


def write(*flags: str) -> None:
    """Write all of them anew; `flags` are further ones of `uv pip compile`."""
    uv = Path(sys.executable).with_name("uv")
    shape = ("--universal", "--python-version", OLDEST, "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
    for file, source in FILES.items():
        command = [str(uv), "pip", "compile", *source, *shape, "--output-file", str(file.relative_to(ROOT)), *flags]
        subprocess.run(command, cwd=ROOT, input=BUILD, text=True, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    write(*sys.argv[1:])
