"""The command lines of the four binaries, tuned for a cluster whose machines are simulated.

They listen on loopback or on Unix sockets only. Authorization is RBAC as in a real cluster. What a real
cluster does to protect itself from thousands of clients is off or wide, so that a burst of simulated pods is
not slowed by throttles that measure nothing here.
"""

from collections.abc import Sequence
from pathlib import Path

from extender.sandbox.credentials import PlaneCredentials
from extender.sandbox.ports import LOOPBACK

# etcd takes a Unix socket only as unix://HOST:PORT and makes the relative file "HOST:PORT" of it. A socket in
# the private run directory needs no port and keeps other users of the machine out, without TLS.
_ETCD_CLIENT = "unix://etcd:2379"
_ETCD_PEER = "unix://etcd:2380"
ETCD_SOCKET_FILE = "etcd:2379"

# ServiceAccount would refuse pods of a namespace whose account is not there yet; the other one taints every
# new node until a controller that is off here takes the taint away.
_ADMISSION_OFF = ("ServiceAccount", "TaintNodesByCondition")

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)
"""The controllers that run: workloads and clean-up. Left out are those that judge nodes by kubelet heartbeats or
talk to a cloud, networking, certificates, autoscaling and storage that needs a driver."""

APISERVER_ENV = {"GOGC": "300"}
"""Three times as much garbage before the API server collects it: a third less CPU for some hundred MB."""

CLIENT_QPS = 500
CLIENT_BURST = 1000


def etcd(binary: Path, run: Path) -> list[str | Path]:
    """Return etcd's command line: Unix sockets, and no fsync, as the data dies with the run."""
    return [
        binary,
        "--name=sandbox",
        f"--data-dir={run / 'etcd'}",
        f"--listen-client-urls={_ETCD_CLIENT}",
        f"--advertise-client-urls={_ETCD_CLIENT}",
        f"--listen-peer-urls={_ETCD_PEER}",
        f"--initial-advertise-peer-urls={_ETCD_PEER}",
        f"--initial-cluster=sandbox={_ETCD_PEER}",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={8 << 30}",
        "--log-level=warn",
    ]


def apiserver(binary: Path, port: int, credentials: PlaneCredentials, flags: Sequence[str]) -> list[str | Path]:
    """Return kube-apiserver's command line; it has to run in the run directory, where etcd's socket is."""
    return [
        binary,
        f"--etcd-servers={_ETCD_CLIENT}",
        *_listen(port, credentials),
        f"--client-ca-file={credentials.ca_path}",
        # No front proxy exists. Without the settings the other components log errors that they are missing.
        f"--requestheader-client-ca-file={credentials.front_proxy_ca_path}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={credentials.service_account_key_path}",
        f"--service-account-signing-key-file={credentials.service_account_key_path}",
        f"--disable-admission-plugins={','.join(_ADMISSION_OFF)}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        # Without priority and fairness the two limits hold for everybody alike, and cost nothing.
        "--enable-priority-and-fairness=false",
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=1500",
        "--profiling=false",
        *flags,
    ]


def controller_manager(binary: Path, port: int, credentials: PlaneCredentials, kubeconfig: Path) -> list[str | Path]:
    """Return kube-controller-manager's command line."""
    return [
        binary,
        *_listen(port, credentials),
        *_delegate(kubeconfig),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--service-account-private-key-file={credentials.service_account_key_path}",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
        "--concurrent-deployment-syncs=10",
        "--concurrent-replicaset-syncs=10",
        "--concurrent-statefulset-syncs=10",
        "--concurrent-job-syncs=10",
        "--concurrent-namespace-syncs=10",
        "--concurrent-gc-syncs=20",
        "--profiling=false",
    ]


def scheduler(
    binary: Path, port: int, credentials: PlaneCredentials, kubeconfig: Path, config: Path
) -> list[str | Path]:
    """Return kube-scheduler's command line; what it decides with is in its configuration file."""
    return [
        binary,
        *_listen(port, credentials),
        *_delegate(kubeconfig),
        f"--config={config}",
    ]


def _listen(port: int, credentials: PlaneCredentials) -> list[str]:
    return [
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        # The port is reserved by us: see `ports`.
        "--permit-port-sharing=true",
        f"--tls-cert-file={credentials.serving_path}",
        f"--tls-private-key-file={credentials.serving_key_path}",
    ]


def _delegate(kubeconfig: Path) -> list[str]:
    return [f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}"]
