"""`python -m release`: make wheel, sdist, chart archive, single files, SBOM, provenance and checksums in a folder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from generate.chart import HelmError
from programs import ROOT

from release.bill import write_bill
from release.build import chart, prepare, python_packages
from release.origin import Origin, ReleaseError
from release.single import PLATFORMS, single_files
from release.sums import write_sums


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a release; 1 if the tree is not fit for one."""
    parser = argparse.ArgumentParser(prog="make release RELEASE=", description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="the folder to fill; it has to be empty")
    parser.add_argument("--allow-dirty", action="store_true", help="also with changes that are not committed")
    parser.add_argument(
        "--platforms",
        nargs="*",
        choices=sorted(PLATFORMS),
        default=sorted(PLATFORMS),
        help="for which to make single files, which needs the package index; none if it is given without a name",
    )
    options = parser.parse_args(arguments)
    dist: Path = options.dist
    try:
        origin = Origin.look(allow_dirty=options.allow_dirty)
        prepare(dist)
        print(f"spotmix {origin.version}, commit {origin.commit[:12]}", file=sys.stderr)
        made = [*python_packages(dist, origin), chart(dist, origin), write_bill(dist, origin)]
        made += single_files(dist, origin, options.platforms)
        made.append(origin.write(dist, made))
        made.append(write_sums(dist, made))
    except (ReleaseError, HelmError) as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    for file in made:
        print(file.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
