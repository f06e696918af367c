"""Which Kubernetes the tests run on, where it makes a difference to what there is."""

import os

from extender.sandbox.versions import KUBERNETES, minor_of, release_named


def minor() -> int:
    """The minor version: 36 of 1.36.3."""
    release = release_named(os.environ.get("SPOTMIX_SANDBOX_KUBERNETES") or KUBERNETES)
    return int(minor_of(release).partition(".")[2])
