"""A Kubernetes control plane on loopback with simulated nodes and a simulated kubelet, without containers.

What may live here: getting and running the four real binaries (etcd, kube-apiserver, kube-controller-manager,
kube-scheduler), and everything that pretends to be a machine. It may use `kube`, `wire`, `core` and
`settings`; nothing below the command line uses it. Tests, the demo and the benchmarks are its users, and so
is anyone who wants to try a policy before a cluster has it.

::

    from extender.sandbox import ControlPlane, SimKubelet, create_nodes, node_pool, terminate_node

    async with ControlPlane() as plane:  # ready: RBAC on, TLS, own run directory
        async with await plane.connect() as api, SimKubelet(api):  # ApiClient as system:masters
            await create_nodes(
                api,
                node_pool(10, capacity_class="spot", zones=("a", "b", "c"))
                + node_pool(5, capacity_class="on-demand", zones=("a", "b", "c")),
            )
            second = await plane.start_scheduler("second", {"profiles": [{"schedulerName": "second"}]})
            ...  # create Deployments with api.request(...); their pods are bound, Ready, and go when deleted
            await plane.apiserver.restart()  # the same port; clients and the kubelet carry on
            await plane.controller_manager.stop()
            await second.restart({"extenders": [{"urlPrefix": url, "filterVerb": "filter"}]})
            print(second.log_path, second.log_tail())
            await terminate_node(api, "spot-3", notice=2.0)  # marker taint, then all is gone
            limited = plane.write_kubeconfig("spotmix", groups=("ops",))  # any user, no rights but RBAC's

Leaving the block stops the four and removes the run directory. The components die with the thread that
started them, however it ends: see `process`.
"""

from extender.sandbox.bulk import bulk
from extender.sandbox.controlplane import ControlPlane, Scheduler
from extender.sandbox.kubelet import SimKubelet
from extender.sandbox.nodes import SimNode, create_nodes, node_pool, terminate_node
from extender.sandbox.process import Component

__all__ = [
    "Component",
    "ControlPlane",
    "Scheduler",
    "SimKubelet",
    "SimNode",
    "bulk",
    "create_nodes",
    "node_pool",
    "terminate_node",
]
