"""`spotmix` with the service account of a pod, as it runs in a cluster.

    python -m bench.inpod FOLDER ARGUMENTS..

The kubelet mounts the account where no other process has a folder: here it is in FOLDER.
"""

import sys
from pathlib import Path

from extender.cli import main
from extender.kube import incluster


def run() -> None:
    """Be `spotmix` with the arguments behind the folder."""
    incluster.ACCOUNT = Path(sys.argv.pop(1))
    main()


if __name__ == "__main__":
    run()
