"""Ports for programs that bind them later."""

import socket
from pathlib import Path

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
