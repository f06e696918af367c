"""The control plane: four components on loopback, ready in seconds, and gone without a trace."""

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from extender.core.model.errors import SandboxError
from extender.kube.client import ApiClient
from extender.sandbox import components
from extender.sandbox.assets import find_assets
from extender.sandbox.credentials import PlaneCredentials
from extender.sandbox.ports import LOOPBACK, PortReservations
from extender.sandbox.probes import https_probe, socket_probe
from extender.sandbox.process import Component, Deadlines
from extender.sandbox.rundir import RunDirectory
from extender.sandbox.schedulerconfig import SchedulerConfig, complete

ADMIN_GROUP = "system:masters"
SERVICE_ACCOUNT = "system:serviceaccount"
DEFAULT_SCHEDULER = "kube-scheduler"


class Scheduler(Component):
    """A kube-scheduler and the configuration file it was started with.

    Attributes:
        config_path: the completed KubeSchedulerConfiguration.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        config_path: Path,
        kubeconfig: Path,
        scheduler_name: str | None,
        **component: Any,
    ) -> None:
        """Describe it; see `Component`, and `schedulerconfig` for the last two of its own arguments."""
        super().__init__(name, command, **component)
        self.config_path = config_path
        self._kubeconfig = kubeconfig
        self._scheduler_name = scheduler_name

    def configure(self, config: SchedulerConfig) -> None:
        """Write the configuration that the next start reads."""
        completed = complete(config, self._kubeconfig, self._scheduler_name)
        self.config_path.write_text(yaml.safe_dump(completed, sort_keys=False))

    async def restart(self, config: SchedulerConfig = None, *, kill: bool = False) -> None:
        """Stop and start again, with another configuration when one is given."""
        if config is not None:
            self.configure(config)
        await super().restart(kill=kill)


class ControlPlane:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler, as an asynchronous context manager.

    Attributes:
        etcd, apiserver, controller_manager, scheduler: the components, once entered; each can be stopped,
            started and restarted. The last two exist but do not run when they were not asked for.
        kubeconfig: path of a kubeconfig with all rights.
        directory: the run directory: logs, kubeconfigs, configurations, data.
        url: the API server's address.
    """

    etcd: Component
    apiserver: Component
    controller_manager: Component
    scheduler: Scheduler
    kubeconfig: Path
    directory: Path
    url: str

    def __init__(
        self,
        *,
        assets: Path | None = None,
        scheduler_config: SchedulerConfig = None,
        with_scheduler: bool = True,
        with_controller_manager: bool = True,
        apiserver_flags: Sequence[str] = (),
        base: Path | None = None,
        keep: bool = False,
    ) -> None:
        """Say what to run; entering the block starts it.

        Args:
            assets: folder with the four binaries; found, downloaded or built when None.
            scheduler_config: KubeSchedulerConfiguration of the default scheduler.
            with_scheduler: start the default scheduler.
            with_controller_manager: start the controller manager.
            apiserver_flags: further flags of kube-apiserver; a repeated flag overrides ours.
            base: folder for the run directory; this user's below the temporary folder when None.
            keep: leave the run directory in place at the end.
        """
        self._assets = assets
        self._scheduler_config = scheduler_config
        self._with_scheduler = with_scheduler
        self._with_controller_manager = with_controller_manager
        self._apiserver_flags = apiserver_flags
        self._base = base
        self._keep = keep
        self._run: RunDirectory | None = None
        self._ports = PortReservations()
        self._schedulers: dict[str, Scheduler] = {}

    async def __aenter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises:
            SandboxError: the binaries cannot be had, or a component did not get ready.
        """
        if self._assets is None:
            self._assets = await _find_assets()
        try:
            self._prepare(self._assets)
            await self.etcd.start()
            await self.apiserver.start()
            async with asyncio.TaskGroup() as clients:
                if self._with_controller_manager:
                    clients.create_task(self.controller_manager.start())
                if self._with_scheduler:
                    clients.create_task(self.scheduler.start())
        except BaseException as error:
            await self.close()
            if isinstance(error, BaseExceptionGroup):
                # One component's failure is all there is to tell; the group is how it travelled.
                raise error.exceptions[0] from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop all components, clients before servers, and remove the run directory; may be called twice."""
        if self._run is None:
            return
        try:
            clients = [*self._schedulers.values(), self.controller_manager]
            await asyncio.gather(*(component.stop() for component in clients))
            # What they would still write goes with the run directory, unless that is kept.
            await self.apiserver.stop(kill=not self._keep)
            await self.etcd.stop(kill=not self._keep)
        finally:
            # Reached with components still up only when the stopping itself was cancelled.
            for component in self.components():
                component.kill()
            self._ports.close()
            self._run.close()
            self._run = None

    def components(self) -> list[Component]:
        """Return all components, running or not, servers first."""
        return [self.etcd, self.apiserver, self.controller_manager, *self._schedulers.values()]

    def check(self) -> None:
        """Raise SandboxError if a component ended without being stopped; the text has its last log lines."""
        for component in self.components():
            component.check()

    async def connect(self, user: str | None = None, groups: Sequence[str] = ()) -> ApiClient:
        """Return a new API client, to be closed by the caller.

        Args:
            user: who it is; None is a user with all rights.
            groups: groups that user is in.
        """
        path = self.kubeconfig if user is None else self.write_kubeconfig(user, groups)
        return await ApiClient.connect(str(path))

    def write_kubeconfig(self, user: str, groups: Sequence[str] = (), path: Path | None = None) -> Path:
        """Write a kubeconfig for any user; RBAC decides what it may do.

        Args:
            user: user name; also a service account's, as `system:serviceaccount:NAMESPACE:NAME`.
            groups: groups the user is in, beside those that every service account is in.
            path: file to write; one named after the user in the run directory when None.
        """
        if user.startswith(f"{SERVICE_ACCOUNT}:"):
            groups = (f"{SERVICE_ACCOUNT}s", f"{SERVICE_ACCOUNT}s:{user.split(':')[2]}", *groups)
        path = path or self.directory / f"{user.replace(':', '-').replace('/', '-')}.kubeconfig"
        return self._credentials.write_kubeconfig(path, self.url, user, groups)

    async def start_scheduler(self, name: str, config: SchedulerConfig = None) -> Scheduler:
        """Start one more kube-scheduler and wait until it is ready.

        Args:
            name: what it is called here and, when the configuration has no profiles, the `schedulerName` it
                serves.
            config: KubeSchedulerConfiguration, see `schedulerconfig`.

        Raises:
            SandboxError: the name is taken, the configuration is wrong, or it did not get ready.
        """
        if name in self._schedulers:
            raise SandboxError(f"a scheduler named {name!r} exists; restart it, or choose another name")
        scheduler = self._new_scheduler(name, config, name)
        await scheduler.start()
        return scheduler

    def _prepare(self, assets: Path) -> None:
        self._run = RunDirectory(self._base, keep=self._keep)
        self.directory = run = self._run.path
        self._credentials = PlaneCredentials(run)
        ports = [self._ports.reserve() for _ in range(2)]
        self.url = f"https://{LOOPBACK}:{ports[0]}"
        self.kubeconfig = self.write_kubeconfig("admin", (ADMIN_GROUP,))
        self.etcd = Component(
            "etcd",
            components.etcd(assets / "etcd", run),
            directory=run,
            probe=socket_probe(run / components.ETCD_SOCKET_FILE),
        )
        self.apiserver = self._component(
            "kube-apiserver",
            ports[0],
            "/readyz",
            components.apiserver(assets / "kube-apiserver", ports[0], self._credentials, self._apiserver_flags),
            env={**os.environ, **components.APISERVER_ENV},
            # It would wait up to a minute for watches that clients never end; requests under way need far
            # less.
            deadlines=Deadlines(stop=1.0),
        )
        # Its controllers share its identity instead of an account each, so it has to be able to do anything.
        controller_manager = self.write_kubeconfig("system:kube-controller-manager", (ADMIN_GROUP,))
        self.controller_manager = self._component(
            "kube-controller-manager",
            ports[1],
            "/healthz",
            components.controller_manager(
                assets / "kube-controller-manager",
                ports[1],
                self._credentials,
                controller_manager,
            ),
        )
        self._scheduler_kubeconfig = self.write_kubeconfig("system:kube-scheduler")
        self.scheduler = self._new_scheduler(DEFAULT_SCHEDULER, self._scheduler_config, None)

    def _component(self, name: str, port: int, path: str, command: Sequence[str | Path], **more: Any) -> Component:
        return Component(name, command, **self._serving(port, path), **more)

    def _serving(self, port: int, path: str) -> dict[str, Any]:
        url = f"https://{LOOPBACK}:{port}"
        return {
            "directory": self.directory,
            "probe": https_probe(url + path, self._credentials),
            "url": url,
        }

    def _new_scheduler(self, name: str, config: SchedulerConfig, scheduler_name: str | None) -> Scheduler:
        assert self._assets is not None  # noqa: S101 (entering the block set it)
        port = self._ports.reserve()
        config_path = self.directory / f"{name}.config.yaml"
        command = components.scheduler(
            self._assets / "kube-scheduler",
            port,
            self._credentials,
            self._scheduler_kubeconfig,
            config_path,
        )
        scheduler = Scheduler(
            name,
            command,
            config_path=config_path,
            kubeconfig=self._scheduler_kubeconfig,
            scheduler_name=scheduler_name,
            **self._serving(port, "/readyz"),
        )
        scheduler.configure(config)
        self._schedulers[name] = scheduler
        return scheduler


async def _find_assets() -> Path:
    stop = threading.Event()
    try:
        return await asyncio.to_thread(find_assets, stop=stop)
    finally:
        # Cancelled, nobody waits for the thread but the end of the event loop; it shall not build on.
        stop.set()
