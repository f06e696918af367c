"""Ports for programs that bind them later."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from extender.core.model.errors import SandboxError
from extender.sandbox import ports
from extender.sandbox.ports import LOOPBACK, free_port


def test_the_kernel_gives_a_free_port_to_nobody_else() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)
    assert not any(low <= port <= high for port in ports)


def test_a_free_port_can_be_listened_on_and_is_not_given_again() -> None:
    port = free_port()
    with socket.create_server((LOOPBACK, port)):
        assert port not in {free_port() for _ in range(200)}


def test_a_port_is_not_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; from extender.sandbox.ports import free_port; print(free_port(), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        taken = int(other.stdout.readline())
        monkeypatch.setattr(ports, "_beyond", lambda _low, _high: [taken])
        with pytest.raises(SandboxError, match="no loopback port is free"):
            free_port()
        other.communicate()
    assert free_port() == taken
